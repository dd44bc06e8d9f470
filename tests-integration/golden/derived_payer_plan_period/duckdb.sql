-- stage_enrollment: stage the rows of the mapping enrollment

-- rows of enrollment, typed and resolved
CREATE OR REPLACE TABLE "work"."stage_enrollment" AS
WITH "rows" AS (
  SELECT
    "rows".*,
    COALESCE(
      REPLACE(REPLACE(CAST("rows"."payer_source_value" AS TEXT), '~', '~~'), '|', '~|'),
      '~N'
    ) AS "plan_text",
    COALESCE(REPLACE(REPLACE(CAST("rows"."key_1" AS TEXT), '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(CAST("rows"."key_2" AS TEXT), '~', '~~'), '|', '~|'), '~N') AS "row_key",
    COALESCE(REPLACE(REPLACE(CAST("rows"."key_1" AS TEXT), '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(CAST("rows"."key_2" AS TEXT), '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(
      REPLACE(REPLACE(CAST("rows"."payer_source_value" AS TEXT), '~', '~~'), '|', '~|'),
      '~N'
    ) || '|' || COALESCE(
      REPLACE(REPLACE(CAST("rows"."stop_reason_source_value" AS TEXT), '~', '~~'), '|', '~|'),
      '~N'
    ) AS "row_text"
  FROM (
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
  ) AS "rows"
), "reached" AS (
  SELECT
    "rows".*,
    MAX("payer_plan_period_end_date") OVER (
      PARTITION BY "person_id", "row_reason" IS NULL
      ORDER BY "payer_plan_period_start_date", "payer_plan_period_end_date" DESC, "row_text"
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS "reached_date"
  FROM "rows"
), "placed" AS (
  SELECT
    "reached".*,
    CASE
      WHEN NOT "row_reason" IS NULL
      THEN 'aside'
      WHEN "payer_plan_period_end_date" <= "reached_date"
      THEN 'within'
      ELSE 'period'
    END AS "place"
  FROM "reached"
), "beside" AS (
  SELECT
    "placed".*,
    LEAD("payer_plan_period_start_date") OVER (
      PARTITION BY "person_id", "place"
      ORDER BY "payer_plan_period_start_date", "row_text"
    ) AS "next_date",
    LAG("payer_plan_period_end_date") OVER (
      PARTITION BY "person_id", "place"
      ORDER BY "payer_plan_period_start_date", "row_text"
    ) AS "earlier_date",
    LAG("plan_text") OVER (
      PARTITION BY "person_id", "place"
      ORDER BY "payer_plan_period_start_date", "row_text"
    ) AS "earlier_plan"
  FROM "placed"
), "cut" AS (
  SELECT
    "beside".*,
    CASE
      WHEN "place" = 'period' AND "next_date" <= "payer_plan_period_end_date"
      THEN CAST("next_date" - TO_DAYS(1) AS DATE)
      ELSE "payer_plan_period_end_date"
    END AS "cut_date",
    CASE
      WHEN TRUE
      AND "plan_text" = "earlier_plan"
      AND DATE_DIFF('DAY', "earlier_date", "payer_plan_period_start_date") <= 1
      THEN 0
      ELSE 1
    END AS "begins"
  FROM "beside"
), "numbered" AS (
  SELECT
    "cut".*,
    SUM("begins") OVER (
      PARTITION BY "person_id", "place"
      ORDER BY "payer_plan_period_start_date", "row_text"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "period"
  FROM "cut"
), "spanned" AS (
  SELECT
    "numbered".*,
    MAX("cut_date") OVER (PARTITION BY "person_id", "plan_text", "place", "period") AS "last_date",
    ROW_NUMBER() OVER (
      PARTITION BY "person_id", "plan_text", "place", "period"
      ORDER BY "payer_plan_period_start_date", "payer_plan_period_end_date", "row_text"
    ) AS "part"
  FROM "numbered"
), "fated" AS (
  SELECT
    "spanned".*,
    CASE
      WHEN "place" = 'aside'
      THEN 'quarantined'
      WHEN "place" = 'within' OR "part" > 1
      THEN 'merged'
      WHEN ROW_NUMBER() OVER (
        PARTITION BY "row_key", "place", "part" = 1
        ORDER BY "person_id", "payer_plan_period_start_date", "row_text"
      ) > 1
      THEN 'quarantined'
      ELSE 'written'
    END AS "fate"
  FROM "spanned"
)
SELECT
  "fated"."key_1",
  "fated"."key_2",
  "fated"."person_id" AS "person_id",
  "fated"."payer_plan_period_start_date" AS "payer_plan_period_start_date",
  CASE WHEN "fate" = 'written' THEN "last_date" ELSE "payer_plan_period_end_date" END AS "payer_plan_period_end_date",
  "fated"."payer_source_value" AS "payer_source_value",
  CASE
    WHEN "fate" = 'written'
    THEN FIRST_VALUE("stop_reason_source_value") OVER (
      PARTITION BY "person_id", "plan_text", "place", "period"
      ORDER BY "payer_plan_period_end_date" DESC, "payer_plan_period_start_date" DESC, "row_text" DESC
    )
    ELSE "stop_reason_source_value"
  END AS "stop_reason_source_value",
  "fated"."fate" AS "row_fate",
  CASE
    WHEN "place" = 'within'
    THEN 'lies within another period'
    WHEN "fate" = 'merged'
    THEN 'continues a period'
    ELSE "row_reason"
  END AS "row_reason"
FROM "fated";

-- write_payer_plan_period: write cdm.payer_plan_period from enrollment

-- ids of payer_plan_period: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_payer_plan_period" (
  "payer_plan_period_id" BIGINT NOT NULL,
  "key_1" TEXT,
  "key_2" TEXT
);

-- the natural key of cdm.payer_plan_period has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.payer_plan_period and drop work.registry_payer_plan_period and work.key_payer_plan_period
SELECT
  "payer_plan_period_id",
  "key_1",
  "key_2"
FROM "work"."registry_payer_plan_period"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_payer_plan_period"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_payer_plan_period" (
  "payer_plan_period_id",
  "key_1",
  "key_2"
)
SELECT
  (
    SELECT
      COALESCE(MAX("payer_plan_period_id"), 0)
    FROM "work"."registry_payer_plan_period"
  ) + ROW_NUMBER() OVER (ORDER BY "present"."key_1", "present"."key_2"),
  "present"."key_1",
  "present"."key_2"
FROM (
  SELECT DISTINCT
    "stage"."key_1",
    "stage"."key_2"
  FROM "work"."stage_enrollment" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "present"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "work"."registry_payer_plan_period" AS "registry"
    WHERE
      "registry"."key_1" IS NOT DISTINCT FROM "present"."key_1"
      AND "registry"."key_2" IS NOT DISTINCT FROM "present"."key_2"
  );

-- the keys of this run, with their ids
CREATE OR REPLACE TABLE "work"."key_payer_plan_period" AS
SELECT
  "registry"."payer_plan_period_id",
  "registry"."key_1",
  "registry"."key_2"
FROM (
  SELECT DISTINCT
    "stage"."key_1",
    "stage"."key_2"
  FROM "work"."stage_enrollment" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "present"
JOIN "work"."registry_payer_plan_period" AS "registry"
  ON "registry"."key_1" IS NOT DISTINCT FROM "present"."key_1"
  AND "registry"."key_2" IS NOT DISTINCT FROM "present"."key_2";

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
  "present"."payer_plan_period_id" AS "payer_plan_period_id",
  "stage"."person_id" AS "person_id",
  "stage"."payer_plan_period_start_date" AS "payer_plan_period_start_date",
  "stage"."payer_plan_period_end_date" AS "payer_plan_period_end_date",
  LEFT("stage"."payer_source_value", 50) AS "payer_source_value",
  LEFT("stage"."stop_reason_source_value", 50) AS "stop_reason_source_value"
FROM "work"."stage_enrollment" AS "stage"
JOIN "work"."key_payer_plan_period" AS "present"
  ON "present"."key_1" IS NOT DISTINCT FROM "stage"."key_1"
  AND "present"."key_2" IS NOT DISTINCT FROM "stage"."key_2"
WHERE
  "stage"."row_fate" = 'written';

-- cdm.payer_plan_period has rows with the same payer_plan_period_id
SELECT
  "payer_plan_period_id",
  COUNT(*) AS "row_count"
FROM "cdm"."payer_plan_period"
GROUP BY
  "payer_plan_period_id"
HAVING
  COUNT(*) > 1;
