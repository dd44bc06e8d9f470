-- stage_prices: stage the rows of the mapping prices

-- rows of prices, typed and resolved
DROP TABLE IF EXISTS "work"."stage_prices";

-- rows of prices, typed and resolved
CREATE TABLE "work"."stage_prices" AS
WITH "rows" AS (
  SELECT
    "e"."patient" AS "key_1",
    "e"."code" AS "key_2",
    "e"."start" AS "key_3",
    "visit_occurrence_key"."visit_occurrence_id" AS "cost_event_id",
    'Visit' COLLATE "C" AS "cost_domain_id",
    32810 AS "cost_type_concept_id",
    CASE
      WHEN CAST("e"."value" AS TEXT) ~ '^\s*[+-]?(?:(?=.{1,200}$)(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?0*[0-9]{1,2})?|[0-9](?:[.][0-9]{0,17})?[eE][+-]?[12]?[0-9]{2})\s*$'
      THEN CAST(CAST("e"."value" AS TEXT) AS DOUBLE PRECISION)
    END AS "total_cost",
    "person_key"."person_id" AS "priced_person_id",
    CAST(CASE
      WHEN CAST("e"."start" AS TEXT) ~ '^\s*(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{4}[-/](?:(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])|(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)|0?2[-/](?:0?[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]0?2[-/]29)(?:(?:T|\s+)(?:(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?\s*)?|24:00(?::00)?))?$'
      THEN CAST(CAST("e"."start" AS TEXT) AS TIMESTAMP)
    END AS DATE) AS "priced_date",
    CASE
      WHEN "visit_occurrence_key"."visit_occurrence_id" IS NULL
      AND (
        NOT "e"."patient" IS NULL OR NOT "e"."start" IS NULL
      )
      THEN 'cost_event_id: unknown visit_occurrence'
      WHEN "visit_occurrence_key"."visit_occurrence_id" IS NULL
      THEN 'cost_event_id: missing'
    END COLLATE "C" AS "row_reason"
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
    CASE WHEN NOT "rows"."row_reason" IS NULL THEN 'quarantined' ELSE 'written' END COLLATE "C" AS "row_fate",
    "rows"."row_reason"
  FROM "rows"
  LEFT JOIN "several"
    ON "several"."cost_event_id" = "rows"."cost_event_id"
  WHERE
    "several"."cost_event_id" IS NULL OR NOT "rows"."row_reason" IS NULL
  UNION ALL
  SELECT
    CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
    "rows"."cost_event_id" AS "cost_event_id",
    "rows"."cost_domain_id" AS "cost_domain_id",
    "rows"."cost_type_concept_id" AS "cost_type_concept_id",
    CAST(SUM(
      CASE
        WHEN CAST("rows"."total_cost" AS TEXT) ~ '^\s*[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]{1,3})?\s*$'
        THEN CASE
          WHEN ABS(ROUND(CAST(CAST("rows"."total_cost" AS TEXT) AS DECIMAL), 6)) < 100000000000000000000000000000000
          THEN CAST(CAST(CAST("rows"."total_cost" AS TEXT) AS DECIMAL) AS DECIMAL(38, 6))
        END
      END
    ) OVER (PARTITION BY "rows"."cost_event_id") AS DOUBLE PRECISION) AS "total_cost",
    "rows"."priced_person_id",
    "rows"."priced_date",
    CASE WHEN "rows"."part" > 1 THEN 'merged' ELSE 'written' END COLLATE "C" AS "row_fate",
    CASE WHEN "rows"."part" > 1 THEN 'priced together with another row' END COLLATE "C" AS "row_reason"
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
  "fated"."row_fate",
  "fated"."row_reason"
FROM "fated"
LEFT JOIN (
  SELECT
    "row_by",
    "moment",
    "latest_at"
  FROM (
    SELECT
      "row_by",
      "moment",
      "is_row",
      MAX("latest_at") OVER (
        PARTITION BY "row_by"
        ORDER BY "moment" NULLS FIRST, "is_row" NULLS FIRST
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "latest_at"
    FROM (
      SELECT
        "priced_person_id" AS "row_by",
        "priced_date" AS "moment",
        1 AS "is_row",
        NULL AS "latest_at"
      FROM "fated"
      UNION
      SELECT
        "person_id" AS "row_by",
        "start_date" AS "moment",
        0 AS "is_row",
        "start_date" AS "latest_at"
      FROM "periods"
    ) AS "moments"
  ) AS "passed"
  WHERE
    "is_row" = 1
) AS "latest"
  ON "latest"."row_by" = "fated"."priced_person_id"
  AND "latest"."moment" = "fated"."priced_date"
LEFT JOIN "periods"
  ON "periods"."person_id" = "latest"."row_by"
  AND "periods"."start_date" = "latest"."latest_at";

-- rows of prices, typed and resolved
ANALYZE "work"."stage_prices";

-- write_cost: write cdm.cost from prices

-- cdm.cost becomes the union of its mappings
TRUNCATE TABLE   "cdm"."cost";

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
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."cost_event_id", "rows"."cost_domain_id"
  ) AS "cost_id",
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
) AS "rows";

-- cdm.cost becomes the union of its mappings
ANALYZE "cdm"."cost";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_cost";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_cost" AS
SELECT
  MAX("cost_id") AS "last_id"
FROM "cdm"."cost";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_cost";
