-- stage_enrollment: stage the rows of the mapping enrollment

-- rows of enrollment, typed and resolved
DROP TABLE IF EXISTS "work"."stage_enrollment";

-- rows of enrollment, typed and resolved
CREATE TABLE "work"."stage_enrollment" AS
WITH "rows" AS (
  SELECT
    "e"."patient" AS "key_1",
    "e"."start" AS "key_2",
    "person_key"."person_id" AS "person_id",
    CASE
      WHEN LENGTH("e"."system") = 4
      THEN "read"."value"
      WHEN LENGTH("e"."system") = 7
      THEN "read"."value_2"
      ELSE CAST("read"."system" AS DATE)
    END AS "payer_plan_period_start_date",
    CAST("read"."stop" AS DATE) AS "payer_plan_period_end_date",
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
        THEN "read"."value"
        WHEN LENGTH("e"."system") = 7
        THEN "read"."value_2"
        ELSE CAST("read"."system" AS DATE)
      END IS NULL
      AND NOT "e"."system" IS NULL
      THEN 'payer_plan_period_start_date: unreadable'
      WHEN CASE
        WHEN LENGTH("e"."system") = 4
        THEN "read"."value"
        WHEN LENGTH("e"."system") = 7
        THEN "read"."value_2"
        ELSE CAST("read"."system" AS DATE)
      END IS NULL
      THEN 'payer_plan_period_start_date: missing'
      WHEN CAST("read"."stop" AS DATE) IS NULL
      AND (
        NOT "e"."stop" IS NULL AND CAST("read"."stop" AS DATE) IS NULL
      )
      THEN 'payer_plan_period_end_date: unreadable'
      WHEN CAST("read"."stop" AS DATE) IS NULL
      THEN 'payer_plan_period_end_date: missing'
      WHEN CAST("read"."stop" AS DATE) < CASE
        WHEN LENGTH("e"."system") = 4
        THEN "read"."value"
        WHEN LENGTH("e"."system") = 7
        THEN "read"."value_2"
        ELSE CAST("read"."system" AS DATE)
      END
      THEN 'payer_plan_period_end_date: before the start'
    END COLLATE "C" AS "row_reason"
  FROM "source"."events" AS "e"
  LEFT JOIN "work"."key_person" AS "person_key"
    ON "person_key"."key_1" = "e"."patient"
  CROSS JOIN LATERAL (
    SELECT
      CASE
        WHEN CAST("e"."system" || '-01-01' AS TEXT) ~ '^\s*(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{4}[-/](?:(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])|(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)|0?2[-/](?:0?[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]0?2[-/]29)(?:(?:T|\s+)(?:(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?\s*)?|24:00(?::00)?))?$'
        THEN CAST(CAST("e"."system" || '-01-01' AS TEXT) AS DATE)
      END AS "value",
      CASE
        WHEN CAST("e"."system" || '-01' AS TEXT) ~ '^\s*(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{4}[-/](?:(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])|(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)|0?2[-/](?:0?[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]0?2[-/]29)(?:(?:T|\s+)(?:(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?\s*)?|24:00(?::00)?))?$'
        THEN CAST(CAST("e"."system" || '-01' AS TEXT) AS DATE)
      END AS "value_2",
      CASE
        WHEN CAST("e"."system" AS TEXT) ~ '^\s*(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{4}[-/](?:(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])|(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)|0?2[-/](?:0?[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]0?2[-/]29)(?:(?:T|\s+)(?:(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?\s*)?|24:00(?::00)?))?$'
        THEN CAST(CASE
          WHEN CAST("e"."system" AS TEXT) LIKE '%.%'
          THEN SUBSTRING(CAST("e"."system" AS TEXT), '^[^.]*[.][0-9]{0,6}')
          ELSE CAST("e"."system" AS TEXT)
        END AS TIMESTAMP)
      END AS "system",
      CASE
        WHEN CAST("e"."stop" AS TEXT) ~ '^\s*(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{4}[-/](?:(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])|(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)|0?2[-/](?:0?[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]0?2[-/]29)(?:(?:T|\s+)(?:(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?\s*)?|24:00(?::00)?))?$'
        THEN CAST(CASE
          WHEN CAST("e"."stop" AS TEXT) LIKE '%.%'
          THEN SUBSTRING(CAST("e"."stop" AS TEXT), '^[^.]*[.][0-9]{0,6}')
          ELSE CAST("e"."stop" AS TEXT)
        END AS TIMESTAMP)
      END AS "stop"
    OFFSET 0
  ) AS "read"
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
    "rows"."person_id",
    "rows"."payer_plan_period_start_date" AS "first_date",
    "rows"."payer_plan_period_end_date" AS "last_date",
    "plans"."plan_number",
    "rows"."row_reason" IS NULL AS "is_valid",
    "rows"."stop_reason_source_value"
  FROM "rows"
  JOIN "plans"
    ON "plans"."payer_source_value" IS NOT DISTINCT FROM "rows"."payer_source_value"
), "ranked" AS (
  SELECT
    "planned".*,
    ROW_NUMBER() OVER (
      PARTITION BY "planned"."person_id"
      ORDER BY "planned"."first_date", "planned"."last_date" DESC NULLS LAST, "planned"."plan_number", "planned"."stop_reason_source_value"
    ) AS "row_rank",
    MAX(CASE WHEN "planned"."is_valid" THEN "planned"."last_date" END) OVER (
      PARTITION BY "planned"."person_id"
      ORDER BY "planned"."first_date", "planned"."last_date" DESC NULLS LAST, "planned"."plan_number", "planned"."stop_reason_source_value"
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS "reached_date"
  FROM "planned"
), "lasting" AS (
  SELECT
    "person_id",
    "plan_number",
    "row_rank",
    "first_date",
    "last_date",
    "reached_date",
    LAG("plan_number") OVER (PARTITION BY "person_id" ORDER BY "row_rank") AS "earlier_plan",
    MAX("last_date") OVER (PARTITION BY "person_id") AS "final_date"
  FROM "ranked"
  WHERE
    "is_valid" AND (
      "reached_date" IS NULL OR "last_date" > "reached_date"
    )
), "begun" AS (
  SELECT
    "person_id",
    "plan_number",
    "row_rank",
    "first_date",
    "reached_date",
    "final_date"
  FROM "lasting"
  WHERE
    NOT TRUE
    OR "earlier_plan" IS NULL
    OR "earlier_plan" <> "plan_number"
    OR (
      CAST("first_date" AS DATE) - CAST("reached_date" AS DATE)
    ) > 1
), "uncut" AS (
  SELECT
    "person_id",
    "plan_number",
    "row_rank",
    "first_date",
    COALESCE(
      LEAD("reached_date") OVER (PARTITION BY "person_id" ORDER BY "row_rank"),
      "final_date"
    ) AS "reached_date",
    LEAD("first_date") OVER (PARTITION BY "person_id" ORDER BY "row_rank") AS "next_date"
  FROM "begun"
), "periods" AS (
  SELECT
    "person_id",
    "plan_number",
    "row_rank",
    "first_date",
    "reached_date",
    CASE
      WHEN "next_date" <= "reached_date"
      THEN CAST("next_date" - (
        1 * INTERVAL '1 DAY'
      ) AS DATE)
      ELSE "reached_date"
    END AS "last_date"
  FROM "uncut"
), "lasts" AS (
  SELECT
    "person_id",
    "plan_number",
    "last_date",
    MAX("row_rank") AS "row_rank"
  FROM "lasting"
  GROUP BY
    "person_id",
    "plan_number",
    "last_date"
)
SELECT
  CAST(NULL AS TEXT) COLLATE "C" AS "key_1",
  CAST(NULL AS TEXT) COLLATE "C" AS "key_2",
  "periods"."person_id" AS "person_id",
  "periods"."first_date" AS "payer_plan_period_start_date",
  "periods"."last_date" AS "payer_plan_period_end_date",
  "plans"."payer_source_value",
  CASE
    WHEN NOT "periods"."row_rank" IS NULL
    THEN "last_row"."stop_reason_source_value"
  END AS "stop_reason_source_value",
  CASE WHEN "periods"."row_rank" IS NULL THEN 'merged' ELSE 'written' END COLLATE "C" AS "row_fate",
  CASE
    WHEN "ranked"."last_date" <= "ranked"."reached_date" AND TRUE
    THEN 'lies within another period'
    WHEN "periods"."row_rank" IS NULL
    THEN 'continues a period'
  END COLLATE "C" AS "row_reason"
FROM "ranked"
LEFT JOIN "periods"
  ON "periods"."person_id" = "ranked"."person_id"
  AND "periods"."row_rank" = "ranked"."row_rank"
LEFT JOIN "plans"
  ON "plans"."plan_number" = "periods"."plan_number"
LEFT JOIN "lasts"
  ON "lasts"."person_id" = "periods"."person_id"
  AND "lasts"."plan_number" = "periods"."plan_number"
  AND "lasts"."last_date" = "periods"."reached_date"
LEFT JOIN "ranked" AS "last_row"
  ON "last_row"."person_id" = "lasts"."person_id"
  AND "last_row"."row_rank" = "lasts"."row_rank"
WHERE
  "ranked"."is_valid"
UNION ALL
SELECT
  "rows"."key_1",
  "rows"."key_2",
  NULL AS "person_id",
  NULL AS "payer_plan_period_start_date",
  NULL AS "payer_plan_period_end_date",
  NULL AS "payer_source_value",
  NULL AS "stop_reason_source_value",
  'quarantined' COLLATE "C" AS "row_fate",
  "rows"."row_reason"
FROM "rows"
WHERE
  NOT "row_reason" IS NULL;

-- rows of enrollment, typed and resolved
ANALYZE "work"."stage_enrollment";

-- write_payer_plan_period: write cdm.payer_plan_period from enrollment

-- cdm.payer_plan_period becomes the union of its mappings
TRUNCATE TABLE   "cdm"."payer_plan_period";

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
    ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."payer_plan_period_start_date"
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

-- cdm.payer_plan_period becomes the union of its mappings
ANALYZE "cdm"."payer_plan_period";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_payer_plan_period";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_payer_plan_period" AS
SELECT
  MAX("payer_plan_period_id") AS "last_id"
FROM "cdm"."payer_plan_period";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_payer_plan_period";
