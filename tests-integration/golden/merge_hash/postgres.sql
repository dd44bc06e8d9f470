-- stage_places: stage the rows of the mapping places

-- rows of places, typed and resolved
DROP TABLE IF EXISTS "work"."stage_places";

-- rows of places, typed and resolved
CREATE TABLE "work"."stage_places" AS
SELECT
  "rows".*,
  CASE
    WHEN NOT "rows"."row_reason" IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY "rows"."key_1", "rows"."key_2", "rows"."row_reason" IS NULL
      ORDER BY "rows"."care_site_name"
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END COLLATE "C" AS "row_fate"
FROM (
  SELECT
    "p"."city" AS "key_1",
    "p"."name" AS "key_2",
    "p"."name" AS "care_site_name",
    CASE WHEN COALESCE("p"."city", "p"."name") IS NULL THEN 'care_site_id: missing' END COLLATE "C" AS "row_reason"
  FROM "source"."places" AS "p"
) AS "rows";

-- rows of places, typed and resolved
ANALYZE "work"."stage_places";

-- write_care_site: write cdm.care_site from places

-- the rows of ours that are in the table
CREATE TABLE IF NOT EXISTS "work"."key_care_site" (
  "care_site_id" BIGINT,
  "key_1" TEXT COLLATE "C",
  "key_2" TEXT COLLATE "C"
);

-- which rows a full write has made
CREATE TABLE IF NOT EXISTS "work"."full_care_site" (
  "last_id" BIGINT
);

-- rows of a full write are written again, with ids that stay
DELETE FROM "cdm"."care_site"
WHERE
  "care_site_id" <= (
    SELECT
      MAX("last_id")
    FROM "work"."full_care_site"
  );

-- keys of before a full write are not those of its rows
DELETE FROM "work"."key_care_site"
WHERE
  EXISTS(
    SELECT
      1
    FROM "work"."full_care_site"
    WHERE
      TRUE
  );

-- no rows of a full write are left
DELETE FROM "work"."full_care_site";

-- rows that others removed are not ours
DELETE FROM "work"."key_care_site"
WHERE
  NOT "care_site_id" IN (
    SELECT
      "care_site_id"
    FROM "cdm"."care_site"
  );

-- the rows of this run, with their ids
DROP TABLE IF EXISTS "work"."change_care_site";

-- the rows of this run, with their ids
CREATE TABLE "work"."change_care_site" AS
SELECT
  (
    CAST(CAST('x' || SUBSTRING(MD5(
      COALESCE(REPLACE(REPLACE("present"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("present"."key_2", '~', '~~'), '|', '~|'), '~N')
    ) FROM 1 FOR 16) AS BIT(64)) AS BIGINT) >> 1
  ) & 9223372036854775807 AS "care_site_id",
  "present"."key_1",
  "present"."key_2",
  1 AS "mapping_number",
  'written' COLLATE "C" AS "change"
FROM (
  SELECT DISTINCT
    "stage"."key_1",
    "stage"."key_2"
  FROM "work"."stage_places" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "present";

-- the rows of this run, with their ids
ANALYZE "work"."change_care_site";

-- every row of ours that it makes no longer
INSERT INTO "work"."change_care_site" (
  "care_site_id",
  "key_1",
  "key_2",
  "change"
)
SELECT
  "old"."care_site_id",
  "old"."key_1",
  "old"."key_2",
  'deleted' COLLATE "C" AS "change"
FROM "work"."key_care_site" AS "old"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "work"."change_care_site" AS "made"
    WHERE
      "made"."care_site_id" = "old"."care_site_id"
  );

-- two natural keys of cdm.care_site have the same hash; use `strategy: registry`
SELECT
  "care_site_id",
  COUNT(*) AS "row_count"
FROM "work"."change_care_site"
WHERE
  NOT "care_site_id" IS NULL
GROUP BY
  "care_site_id"
HAVING
  COUNT(*) > 1;

-- two natural keys of cdm.care_site have the same hash; use `strategy: registry`
SELECT
  "made"."care_site_id"
FROM "work"."change_care_site" AS "made"
JOIN "work"."key_care_site" AS "old"
  ON "old"."care_site_id" = "made"."care_site_id"
WHERE
  "made"."change" = 'written'
  AND NOT (
    "old"."key_1" IS NOT DISTINCT FROM "made"."key_1"
    AND "old"."key_2" IS NOT DISTINCT FROM "made"."key_2"
  );

-- cdm.care_site has rows that no mapping wrote, under ids of ours; give those rows other ids
SELECT
  "made"."care_site_id"
FROM "work"."change_care_site" AS "made"
JOIN "cdm"."care_site" AS "old"
  ON "old"."care_site_id" = "made"."care_site_id"
WHERE
  "made"."change" = 'written'
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."key_care_site" AS "ours"
    WHERE
      "ours"."care_site_id" = "made"."care_site_id"
  );

-- the keys that are in the table after this run
DELETE FROM "work"."key_care_site"
WHERE
  "care_site_id" IN (
    SELECT
      "made"."care_site_id"
    FROM "work"."change_care_site" AS "made"
    WHERE
      "made"."change" = 'written' OR "made"."change" = 'deleted'
  );

-- the keys that are in the table after this run
INSERT INTO "work"."key_care_site" (
  "care_site_id",
  "key_1",
  "key_2"
)
SELECT
  "made"."care_site_id",
  "made"."key_1",
  "made"."key_2"
FROM "work"."change_care_site" AS "made"
WHERE
  "made"."change" = 'written';

-- rows leave cdm.care_site
DELETE FROM "cdm"."care_site"
WHERE
  "care_site_id" IN (
    SELECT
      "made"."care_site_id"
    FROM "work"."change_care_site" AS "made"
    WHERE
      "made"."change" = 'deleted'
  );

-- rows of cdm.care_site that differ are updated, new ones inserted
MERGE INTO "cdm"."care_site" AS "old"
USING (
  SELECT
    "present"."care_site_id",
    LEFT("stage"."care_site_name", 255) AS "care_site_name",
    CAST(NULL AS INT) AS "place_of_service_concept_id",
    CAST(NULL AS INT) AS "location_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "care_site_source_value",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "place_of_service_source_value"
  FROM "work"."stage_places" AS "stage"
  JOIN "work"."change_care_site" AS "present"
    ON "present"."key_1" IS NOT DISTINCT FROM "stage"."key_1"
    AND "present"."key_2" IS NOT DISTINCT FROM "stage"."key_2"
    AND "present"."mapping_number" = 1
    AND "present"."change" = 'written'
  WHERE
    "stage"."row_fate" = 'written'
) AS "new"
ON "old"."care_site_id" = "new"."care_site_id"
WHEN MATCHED AND (
  "old"."care_site_name" IS DISTINCT FROM "new"."care_site_name"
  OR "old"."place_of_service_concept_id" IS DISTINCT FROM "new"."place_of_service_concept_id"
  OR "old"."location_id" IS DISTINCT FROM "new"."location_id"
  OR "old"."care_site_source_value" IS DISTINCT FROM "new"."care_site_source_value"
  OR "old"."place_of_service_source_value" IS DISTINCT FROM "new"."place_of_service_source_value"
) THEN UPDATE SET
  "care_site_name" = "new"."care_site_name",
  "place_of_service_concept_id" = "new"."place_of_service_concept_id",
  "location_id" = "new"."location_id",
  "care_site_source_value" = "new"."care_site_source_value",
  "place_of_service_source_value" = "new"."place_of_service_source_value"
WHEN NOT MATCHED THEN INSERT (
  "care_site_id",
  "care_site_name",
  "place_of_service_concept_id",
  "location_id",
  "care_site_source_value",
  "place_of_service_source_value"
) VALUES (
  "new"."care_site_id",
  "new"."care_site_name",
  "new"."place_of_service_concept_id",
  "new"."location_id",
  "new"."care_site_source_value",
  "new"."place_of_service_source_value"
);

-- cdm.care_site has rows with the same care_site_id
SELECT
  "care_site_id",
  COUNT(*) AS "row_count"
FROM "cdm"."care_site"
GROUP BY
  "care_site_id"
HAVING
  COUNT(*) > 1;
