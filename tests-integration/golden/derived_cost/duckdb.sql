-- stage_prices: stage the rows of the mapping prices

-- rows of prices, typed and resolved
CREATE OR REPLACE TABLE "work"."stage_prices" AS
WITH "rows" AS (
  SELECT
    "e"."patient" AS "key_1",
    "e"."code" AS "key_2",
    "e"."start" AS "key_3",
    "visit_occurrence_key"."visit_occurrence_id" AS "cost_event_id",
    'Visit' AS "cost_domain_id",
    32810 AS "cost_type_concept_id",
    TRY_CAST("e"."value" AS DOUBLE) AS "total_cost",
    "person_key"."person_id" AS "priced_person_id",
    TRY_CAST(TRY_CAST("e"."start" AS TIMESTAMP) AS DATE) AS "priced_date",
    CASE
      WHEN "visit_occurrence_key"."visit_occurrence_id" IS NULL
      AND (
        NOT "e"."patient" IS NULL OR NOT "e"."start" IS NULL
      )
      THEN 'cost_event_id: unknown visit_occurrence'
      WHEN "visit_occurrence_key"."visit_occurrence_id" IS NULL
      THEN 'cost_event_id: missing'
    END AS "row_reason"
  FROM "source"."events" AS "e"
  LEFT JOIN "work"."key_person" AS "person_key"
    ON "person_key"."key_1" = "e"."patient"
  LEFT JOIN "work"."key_visit_occurrence" AS "visit_occurrence_key"
    ON "visit_occurrence_key"."key_1" IS NOT DISTINCT FROM "e"."patient"
    AND "visit_occurrence_key"."key_2" IS NOT DISTINCT FROM "e"."start"
), "several" AS (
  SELECT
    "rows"."cost_event_id"
  FROM "rows"
  WHERE
    "row_reason" IS NULL
  GROUP BY
    "rows"."cost_event_id"
  HAVING
    COUNT(*) > 1
), "parts" AS (
  SELECT
    "rows".*,
    ROW_NUMBER() OVER (
      PARTITION BY "rows"."cost_event_id"
      ORDER BY "rows"."key_1", "rows"."key_2", "rows"."key_3", "rows"."cost_event_id", "rows"."cost_domain_id", "rows"."cost_type_concept_id", "rows"."total_cost"
    ) AS "part"
  FROM "rows"
  JOIN "several"
    ON "several"."cost_event_id" = "rows"."cost_event_id"
  WHERE
    "rows"."row_reason" IS NULL
), "fated" AS (
  SELECT
    CASE
      WHEN NOT "rows"."row_reason" IS NULL
      THEN COALESCE("rows"."key_1", 'NULL') || ' | ' || COALESCE("rows"."key_2", 'NULL') || ' | ' || COALESCE("rows"."key_3", 'NULL')
    END AS "source_key",
    "rows"."cost_event_id",
    "rows"."cost_domain_id",
    "rows"."cost_type_concept_id",
    "rows"."total_cost",
    "rows"."priced_person_id",
    "rows"."priced_date",
    CASE WHEN NOT "rows"."row_reason" IS NULL THEN 'quarantined' ELSE 'written' END AS "row_fate",
    "rows"."row_reason"
  FROM "rows"
  LEFT JOIN "several"
    ON "several"."cost_event_id" = "rows"."cost_event_id"
  WHERE
    "several"."cost_event_id" IS NULL OR NOT "rows"."row_reason" IS NULL
  UNION ALL
  SELECT
    CAST(NULL AS TEXT) AS "source_key",
    "rows"."cost_event_id" AS "cost_event_id",
    "rows"."cost_domain_id" AS "cost_domain_id",
    "rows"."cost_type_concept_id" AS "cost_type_concept_id",
    CAST(SUM(TRY_CAST("rows"."total_cost" AS DECIMAL(38, 6))) OVER (PARTITION BY "rows"."cost_event_id") AS DOUBLE) AS "total_cost",
    "rows"."priced_person_id",
    "rows"."priced_date",
    CASE WHEN "rows"."part" > 1 THEN 'merged' ELSE 'written' END AS "row_fate",
    CASE WHEN "rows"."part" > 1 THEN 'priced together with another row' END AS "row_reason"
  FROM "parts" AS "rows"
), "periods" AS (
  SELECT
    "person_id",
    "payer_plan_period_start_date" AS "start_date",
    MIN("payer_plan_period_id") AS "payer_plan_period_id",
    MAX("payer_plan_period_end_date") AS "end_date"
  FROM "cdm"."payer_plan_period"
  GROUP BY
    "person_id",
    "payer_plan_period_start_date"
)
SELECT
  "fated"."source_key",
  "fated"."cost_event_id",
  "fated"."cost_domain_id",
  "fated"."cost_type_concept_id",
  "fated"."total_cost",
  CASE
    WHEN "fated"."priced_date" <= "periods"."end_date"
    THEN "periods"."payer_plan_period_id"
  END AS "payer_plan_period_id",
  CAST("fated"."row_fate" AS ENUM('merged', 'quarantined', 'written')) AS "row_fate",
  CAST("fated"."row_reason" AS ENUM('cost_event_id: missing', 'cost_event_id: unknown visit_occurrence', 'priced together with another row')) AS "row_reason"
FROM "fated"
ASOF LEFT JOIN "periods"
  ON "periods"."person_id" = "fated"."priced_person_id"
  AND "fated"."priced_date" >= "periods"."start_date";

-- write_cost: write cdm.cost from prices

-- cdm.cost becomes the union of its mappings
DELETE FROM "cdm"."cost";

-- cdm.cost becomes the union of its mappings
INSERT INTO "cdm"."cost" (
  "cost_id",
  "cost_event_id",
  "cost_domain_id",
  "cost_type_concept_id",
  "total_cost",
  "payer_plan_period_id"
)
SELECT
  ROW_NUMBER() OVER () AS "cost_id",
  "ordered"."cost_event_id" AS "cost_event_id",
  "ordered"."cost_domain_id" AS "cost_domain_id",
  "ordered"."cost_type_concept_id" AS "cost_type_concept_id",
  "ordered"."total_cost" AS "total_cost",
  "ordered"."payer_plan_period_id" AS "payer_plan_period_id"
FROM (
  SELECT
    "rows"."cost_event_id" AS "cost_event_id",
    "rows"."cost_domain_id" AS "cost_domain_id",
    "rows"."cost_type_concept_id" AS "cost_type_concept_id",
    "rows"."total_cost" AS "total_cost",
    "rows"."payer_plan_period_id" AS "payer_plan_period_id"
  FROM (
    SELECT
      1 AS "mapping_number",
      "stage"."cost_event_id" AS "cost_event_id",
      "stage"."cost_domain_id" AS "cost_domain_id",
      "stage"."cost_type_concept_id" AS "cost_type_concept_id",
      "stage"."total_cost" AS "total_cost",
      "stage"."payer_plan_period_id" AS "payer_plan_period_id"
    FROM "work"."stage_prices" AS "stage"
    WHERE
      "stage"."row_fate" = 'written'
  ) AS "rows"
  ORDER BY
    "rows"."mapping_number",
    "rows"."cost_event_id",
    "rows"."cost_domain_id"
) AS "ordered";

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE "work"."full_cost" AS
SELECT
  MAX("cost_id") AS "last_id"
FROM "cdm"."cost";
