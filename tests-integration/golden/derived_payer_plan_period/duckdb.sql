-- stage_enrollment: stage the rows of the mapping enrollment

-- rows of enrollment, typed and resolved
CREATE OR REPLACE TABLE "work"."stage_enrollment" AS
WITH "rows" AS (
  SELECT
    "e"."patient" AS "key_1",
    "e"."start" AS "key_2",
    "person_key"."person_id" AS "person_id",
    CASE
      WHEN LENGTH("e"."system") = 4
      THEN TRY_CAST("e"."system" || '-01-01' AS DATE)
      WHEN LENGTH("e"."system") = 7
      THEN TRY_CAST("e"."system" || '-01' AS DATE)
      ELSE TRY_CAST(TRY_CAST("e"."system" AS TIMESTAMP) AS DATE)
    END AS "payer_plan_period_start_date",
    TRY_CAST(TRY_CAST("e"."stop" AS TIMESTAMP) AS DATE) AS "payer_plan_period_end_date",
    "e"."place" AS "payer_source_value",
    "e"."value" AS "stop_reason_source_value",
    CASE
      WHEN COALESCE("e"."patient", "e"."start") IS NULL
      THEN 'payer_plan_period_id: missing'
      WHEN "person_key"."person_id" IS NULL AND NOT "e"."patient" IS NULL
      THEN 'person_id: unknown person'
      WHEN "person_key"."person_id" IS NULL
      THEN 'person_id: missing'
      WHEN CASE
        WHEN LENGTH("e"."system") = 4
        THEN TRY_CAST("e"."system" || '-01-01' AS DATE)
        WHEN LENGTH("e"."system") = 7
        THEN TRY_CAST("e"."system" || '-01' AS DATE)
        ELSE TRY_CAST(TRY_CAST("e"."system" AS TIMESTAMP) AS DATE)
      END IS NULL
      AND NOT "e"."system" IS NULL
      THEN 'payer_plan_period_start_date: unreadable'
      WHEN CASE
        WHEN LENGTH("e"."system") = 4
        THEN TRY_CAST("e"."system" || '-01-01' AS DATE)
        WHEN LENGTH("e"."system") = 7
        THEN TRY_CAST("e"."system" || '-01' AS DATE)
        ELSE TRY_CAST(TRY_CAST("e"."system" AS TIMESTAMP) AS DATE)
      END IS NULL
      THEN 'payer_plan_period_start_date: missing'
      WHEN TRY_CAST(TRY_CAST("e"."stop" AS TIMESTAMP) AS DATE) IS NULL
      AND (
        NOT "e"."stop" IS NULL
        AND TRY_CAST(TRY_CAST("e"."stop" AS TIMESTAMP) AS DATE) IS NULL
      )
      THEN 'payer_plan_period_end_date: unreadable'
      WHEN TRY_CAST(TRY_CAST("e"."stop" AS TIMESTAMP) AS DATE) IS NULL
      THEN 'payer_plan_period_end_date: missing'
      WHEN TRY_CAST(TRY_CAST("e"."stop" AS TIMESTAMP) AS DATE) < CASE
        WHEN LENGTH("e"."system") = 4
        THEN TRY_CAST("e"."system" || '-01-01' AS DATE)
        WHEN LENGTH("e"."system") = 7
        THEN TRY_CAST("e"."system" || '-01' AS DATE)
        ELSE TRY_CAST(TRY_CAST("e"."system" AS TIMESTAMP) AS DATE)
      END
      THEN 'payer_plan_period_end_date: before the start'
    END AS "row_reason"
  FROM "source"."events" AS "e"
  LEFT JOIN "work"."key_person" AS "person_key"
    ON "person_key"."key_1" = "e"."patient"
), "plans" AS (
  SELECT
    "each"."payer_source_value",
    ROW_NUMBER() OVER (ORDER BY "each"."payer_source_value") AS "plan_number"
  FROM (
    SELECT DISTINCT
      "rows"."payer_source_value"
    FROM "rows"
  ) AS "each"
), "planned" AS (
  SELECT
    CASE WHEN NOT "rows"."row_reason" IS NULL THEN "rows"."key_1" END AS "key_1",
    CASE WHEN NOT "rows"."row_reason" IS NULL THEN "rows"."key_2" END AS "key_2",
    "rows"."person_id",
    "rows"."payer_plan_period_start_date",
    "rows"."payer_plan_period_end_date",
    "rows"."stop_reason_source_value",
    "rows"."row_reason",
    "plans"."plan_number"
  FROM "rows"
  JOIN "plans"
    ON "plans"."payer_source_value" IS NOT DISTINCT FROM "rows"."payer_source_value"
), "ranked" AS (
  SELECT
    "planned".*,
    ROW_NUMBER() OVER (
      ORDER BY "planned"."person_id", "planned"."payer_plan_period_start_date", "planned"."payer_plan_period_end_date" DESC, "planned"."plan_number", "planned"."stop_reason_source_value", "planned"."key_1", "planned"."key_2", "planned"."row_reason"
    ) AS "row_rank"
  FROM "planned"
), "days" AS (
  SELECT
    "row_rank",
    "person_id",
    "plan_number",
    "payer_plan_period_start_date" AS "first_date",
    "payer_plan_period_end_date" AS "last_date"
  FROM "ranked"
  WHERE
    "row_reason" IS NULL
), "reached" AS (
  SELECT
    "days".*,
    MAX("last_date") OVER (
      PARTITION BY "person_id"
      ORDER BY "row_rank"
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS "reached_date"
  FROM "days"
), "beside" AS (
  SELECT
    "row_rank",
    "person_id",
    "first_date",
    "last_date",
    LEAD("first_date") OVER (PARTITION BY "person_id" ORDER BY "row_rank") AS "next_date",
    LAG("last_date") OVER (PARTITION BY "person_id" ORDER BY "row_rank") AS "earlier_date",
    CASE
      WHEN "plan_number" = LAG("plan_number") OVER (PARTITION BY "person_id" ORDER BY "row_rank")
      THEN 1
      ELSE 0
    END AS "is_same_plan"
  FROM "reached"
  WHERE
    "reached_date" IS NULL OR "last_date" > "reached_date"
), "begun" AS (
  SELECT
    "row_rank",
    "person_id",
    0 AS "plan_number",
    CASE
      WHEN "next_date" <= "last_date"
      THEN CAST("next_date" - TO_DAYS(1) AS DATE)
      ELSE "last_date"
    END AS "cut_date",
    CASE
      WHEN TRUE
      AND "is_same_plan" = 1
      AND DATE_DIFF('DAY', "earlier_date", "first_date") <= 1
      THEN 0
      ELSE 1
    END AS "begins"
  FROM "beside"
), "numbered" AS (
  SELECT
    "begun".*,
    SUM("begins") OVER (
      PARTITION BY "person_id", "plan_number"
      ORDER BY "row_rank"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "period"
  FROM "begun"
), "spans" AS (
  SELECT
    "person_id",
    "plan_number",
    "period",
    MIN("row_rank") AS "first_rank",
    MAX("cut_date") AS "last_date"
  FROM "numbered"
  GROUP BY
    "person_id",
    "plan_number",
    "period"
), "spanned" AS (
  SELECT
    "numbered"."row_rank",
    "numbered"."cut_date",
    "spans"."first_rank",
    "spans"."last_date"
  FROM "numbered"
  JOIN "spans"
    ON "spans"."person_id" = "numbered"."person_id"
    AND "spans"."plan_number" = "numbered"."plan_number"
    AND "spans"."period" = "numbered"."period"
), "firsts" AS (
  SELECT
    "row_rank",
    1 AS "of_key"
  FROM "spanned"
  WHERE
    "row_rank" = "first_rank"
), "lasts" AS (
  SELECT
    "first_rank",
    MAX("row_rank") AS "last_rank"
  FROM "spanned"
  WHERE
    "cut_date" = "last_date"
  GROUP BY
    "first_rank"
), "fated" AS (
  SELECT
    "ranked".*,
    "spanned"."last_date",
    CASE
      WHEN NOT "ranked"."row_reason" IS NULL
      THEN 'aside'
      WHEN "spanned"."row_rank" IS NULL
      THEN 'within'
      ELSE 'period'
    END AS "place",
    CASE
      WHEN NOT "ranked"."row_reason" IS NULL
      THEN 'quarantined'
      WHEN "firsts"."row_rank" IS NULL
      THEN 'merged'
      WHEN "firsts"."of_key" > 1
      THEN 'quarantined'
      ELSE 'written'
    END AS "fate"
  FROM "ranked"
  LEFT JOIN "spanned"
    ON "spanned"."row_rank" = "ranked"."row_rank"
  LEFT JOIN "firsts"
    ON "firsts"."row_rank" = "ranked"."row_rank"
)
SELECT
  "fated"."key_1",
  "fated"."key_2",
  "fated"."person_id",
  "fated"."payer_plan_period_start_date",
  CASE
    WHEN "fate" = 'written'
    THEN "last_date"
    ELSE "fated"."payer_plan_period_end_date"
  END AS "payer_plan_period_end_date",
  "plans"."payer_source_value",
  CASE
    WHEN "fate" = 'written'
    THEN "last_row"."stop_reason_source_value"
    ELSE "fated"."stop_reason_source_value"
  END AS "stop_reason_source_value",
  CAST("fated"."fate" AS ENUM('merged', 'quarantined', 'written')) AS "row_fate",
  CAST(CASE
    WHEN "place" = 'within'
    THEN 'lies within another period'
    WHEN "fate" = 'merged'
    THEN 'continues a period'
    ELSE "fated"."row_reason"
  END AS ENUM('continues a period', 'lies within another period', 'payer_plan_period_end_date: before the start', 'payer_plan_period_end_date: missing', 'payer_plan_period_end_date: unreadable', 'payer_plan_period_id: missing', 'payer_plan_period_start_date: missing', 'payer_plan_period_start_date: unreadable', 'person_id: missing', 'person_id: unknown person')) AS "row_reason"
FROM "fated"
JOIN "plans"
  ON "plans"."plan_number" = "fated"."plan_number"
LEFT JOIN "lasts"
  ON "lasts"."first_rank" = "fated"."row_rank"
LEFT JOIN "ranked" AS "last_row"
  ON "last_row"."row_rank" = "lasts"."last_rank";

-- write_payer_plan_period: write cdm.payer_plan_period from enrollment

-- cdm.payer_plan_period becomes the union of its mappings
DELETE FROM "cdm"."payer_plan_period";

-- cdm.payer_plan_period becomes the union of its mappings
INSERT INTO "cdm"."payer_plan_period" (
  "payer_plan_period_id",
  "person_id",
  "payer_plan_period_start_date",
  "payer_plan_period_end_date",
  "payer_source_value",
  "stop_reason_source_value"
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."payer_plan_period_start_date", "rows"."payer_plan_period_end_date", "rows"."payer_source_value", "rows"."stop_reason_source_value"
  ) AS "payer_plan_period_id",
  "rows"."person_id" AS "person_id",
  "rows"."payer_plan_period_start_date" AS "payer_plan_period_start_date",
  "rows"."payer_plan_period_end_date" AS "payer_plan_period_end_date",
  "rows"."payer_source_value" AS "payer_source_value",
  "rows"."stop_reason_source_value" AS "stop_reason_source_value"
FROM (
  SELECT
    1 AS "mapping_number",
    "stage"."person_id" AS "person_id",
    "stage"."payer_plan_period_start_date" AS "payer_plan_period_start_date",
    "stage"."payer_plan_period_end_date" AS "payer_plan_period_end_date",
    LEFT("stage"."payer_source_value", 50) AS "payer_source_value",
    LEFT("stage"."stop_reason_source_value", 50) AS "stop_reason_source_value"
  FROM "work"."stage_enrollment" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "rows";

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE "work"."full_payer_plan_period" AS
SELECT
  MAX("payer_plan_period_id") AS "last_id"
FROM "cdm"."payer_plan_period";
