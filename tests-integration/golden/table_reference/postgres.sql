-- stage_ends: stage the rows of the mapping ends

-- rows of ends, typed and resolved
DROP TABLE IF EXISTS "work"."stage_ends";

-- rows of ends, typed and resolved
CREATE TABLE "work"."stage_ends" AS
SELECT
  "rows".*,
  CASE
    WHEN NOT "rows"."row_reason" IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY "rows"."key_1", "rows"."row_reason" IS NULL
      ORDER BY "rows"."person_id", "rows"."death_date", "rows"."death_type_concept_id", "rows"."cause_source_value"
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END COLLATE "C" AS "row_fate"
FROM (
  SELECT
    "e"."patient" AS "key_1",
    "person_key"."person_id" AS "person_id",
    CAST("read"."start" AS DATE) AS "death_date",
    32817 AS "death_type_concept_id",
    "p"."kind" AS "cause_source_value",
    CASE
      WHEN "person_key"."person_id" IS NULL AND NOT "e"."patient" IS NULL
      THEN 'person_id: unknown person'
      WHEN "person_key"."person_id" IS NULL
      THEN 'person_id: missing'
      WHEN CAST("read"."start" AS DATE) IS NULL
      AND (
        NOT "e"."start" IS NULL AND "read"."start" IS NULL
      )
      THEN 'death_date: unreadable'
      WHEN CAST("read"."start" AS DATE) IS NULL
      THEN 'death_date: missing'
    END COLLATE "C" AS "row_reason"
  FROM "source"."events" AS "e"
  LEFT JOIN "source"."places" AS "p"
    ON "p"."name" = "e"."place"
  LEFT JOIN "work"."key_person" AS "person_key"
    ON "person_key"."key_1" = "e"."patient"
  CROSS JOIN LATERAL (
    SELECT
      CASE
        WHEN CAST("e"."start" AS TEXT) ~ '^\s*(?=[0-9]+(?:-[0-9]+-|/[0-9]+/))(?!0000)(?:[0-9]{4}[-/](?:(?:0?[13578]|1[02])[-/](?:0?[1-9]|[12][0-9]|3[01])|(?:0?[469]|11)[-/](?:0?[1-9]|[12][0-9]|30)|0?2[-/](?:0?[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)[-/]0?2[-/]29)(?:(?:T|\s+)(?:(?:[01]?[0-9]|2[0-3]):[0-5]?[0-9](?::[0-5]?[0-9](?:[.][0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?\s*)?|24:00(?::00)?))?$'
        THEN CAST(CASE
          WHEN CAST("e"."start" AS TEXT) LIKE '%.%'
          THEN SUBSTRING(CAST("e"."start" AS TEXT), '^[^.]*[.][0-9]{0,6}')
          ELSE CAST("e"."start" AS TEXT)
        END AS TIMESTAMP)
      END AS "start"
    OFFSET 0
  ) AS "read"
) AS "rows";

-- rows of ends, typed and resolved
ANALYZE "work"."stage_ends";

-- the mapping ends says that at most one row of source.places joins as 'p' (mappings/2.yaml:6), but the join makes more rows; extra rows
SELECT
  "joined"."row_count" - "alone"."row_count" AS "extra_rows"
FROM (
  SELECT
    COUNT(*) AS "row_count"
  FROM "work"."stage_ends" AS "stage"
) AS "joined"
CROSS JOIN (
  SELECT
    COUNT(*) AS "row_count"
  FROM "source"."events" AS "e"
) AS "alone"
WHERE
  "joined"."row_count" > "alone"."row_count";

-- write_death: write cdm.death from ends

-- cdm.death becomes the union of its mappings
TRUNCATE TABLE   "cdm"."death";

-- cdm.death becomes the union of its mappings
INSERT INTO "cdm"."death" (
  "person_id",
  "death_date",
  "death_type_concept_id",
  "cause_source_value"
)
SELECT
  "stage"."person_id" AS "person_id",
  "stage"."death_date" AS "death_date",
  "stage"."death_type_concept_id" AS "death_type_concept_id",
  LEFT("stage"."cause_source_value", 50) AS "cause_source_value"
FROM "work"."stage_ends" AS "stage"
WHERE
  "stage"."row_fate" = 'written';

-- cdm.death becomes the union of its mappings
ANALYZE "cdm"."death";
