-- stage_ends: stage the rows of the mapping ends

-- rows of ends, typed and resolved
CREATE OR REPLACE TABLE "work"."stage_ends" AS
SELECT
  "rows".*,
  CAST(CASE
    WHEN NOT "rows"."row_reason" IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY "rows"."key_1", "rows"."row_reason" IS NULL
      ORDER BY "rows"."person_id", "rows"."death_date", "rows"."death_type_concept_id", "rows"."cause_source_value"
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END AS ENUM('quarantined', 'written')) AS "row_fate"
FROM (
  SELECT
    "e"."patient" AS "key_1",
    "person_key"."person_id" AS "person_id",
    TRY_CAST(TRY_CAST("e"."start" AS TIMESTAMP) AS DATE) AS "death_date",
    32817 AS "death_type_concept_id",
    "p"."kind" AS "cause_source_value",
    CAST(CASE
      WHEN "person_key"."person_id" IS NULL AND NOT "e"."patient" IS NULL
      THEN 'person_id: unknown person'
      WHEN "person_key"."person_id" IS NULL
      THEN 'person_id: missing'
      WHEN TRY_CAST(TRY_CAST("e"."start" AS TIMESTAMP) AS DATE) IS NULL
      AND (
        NOT "e"."start" IS NULL AND TRY_CAST("e"."start" AS TIMESTAMP) IS NULL
      )
      THEN 'death_date: unreadable'
      WHEN TRY_CAST(TRY_CAST("e"."start" AS TIMESTAMP) AS DATE) IS NULL
      THEN 'death_date: missing'
    END AS ENUM('death_date: missing', 'death_date: unreadable', 'person_id: missing', 'person_id: unknown person')) AS "row_reason"
  FROM "source"."events" AS "e"
  LEFT JOIN "source"."places" AS "p"
    ON "p"."name" = "e"."place"
  LEFT JOIN "work"."key_person" AS "person_key"
    ON "person_key"."key_1" = "e"."patient"
) AS "rows";

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
DELETE FROM "cdm"."death";

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
