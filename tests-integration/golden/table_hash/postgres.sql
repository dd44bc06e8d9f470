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

-- the keys of this run, with their ids
DROP TABLE IF EXISTS "work"."key_care_site";

-- the keys of this run, with their ids
CREATE TABLE "work"."key_care_site" AS
SELECT
  (
    CAST(CAST('x' || SUBSTRING(MD5(
      COALESCE(REPLACE(REPLACE("present"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("present"."key_2", '~', '~~'), '|', '~|'), '~N')
    ) FROM 1 FOR 16) AS BIT(64)) AS BIGINT) >> 1
  ) & 9223372036854775807 AS "care_site_id",
  "present"."key_1",
  "present"."key_2"
FROM (
  SELECT DISTINCT
    "stage"."key_1",
    "stage"."key_2"
  FROM "work"."stage_places" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "present";

-- the keys of this run, with their ids
ANALYZE "work"."key_care_site";

-- two natural keys of cdm.care_site have the same hash; use `strategy: registry`
SELECT
  "care_site_id",
  COUNT(*) AS "row_count"
FROM "work"."key_care_site"
GROUP BY
  "care_site_id"
HAVING
  COUNT(*) > 1;

-- cdm.care_site becomes the union of its mappings
TRUNCATE TABLE   "cdm"."care_site";

-- cdm.care_site becomes the union of its mappings
INSERT INTO "cdm"."care_site" (
  "care_site_id",
  "care_site_name"
)
SELECT
  "present"."care_site_id" AS "care_site_id",
  LEFT("stage"."care_site_name", 255) AS "care_site_name"
FROM "work"."stage_places" AS "stage"
JOIN "work"."key_care_site" AS "present"
  ON "present"."key_1" IS NOT DISTINCT FROM "stage"."key_1"
  AND "present"."key_2" IS NOT DISTINCT FROM "stage"."key_2"
WHERE
  "stage"."row_fate" = 'written';

-- cdm.care_site becomes the union of its mappings
ANALYZE "cdm"."care_site";

-- cdm.care_site has rows with the same care_site_id
SELECT
  "care_site_id",
  COUNT(*) AS "row_count"
FROM "cdm"."care_site"
GROUP BY
  "care_site_id"
HAVING
  COUNT(*) > 1;
