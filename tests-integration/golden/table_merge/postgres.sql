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
      PARTITION BY "rows"."key_1", "rows"."row_reason" IS NULL
      ORDER BY "rows"."city", "rows"."location_source_value"
    ) = 1
    THEN 'written'
    ELSE 'merged'
  END COLLATE "C" AS "row_fate"
FROM (
  SELECT
    "p"."city" AS "key_1",
    "p"."city" AS "city",
    CASE "p"."kind"
      WHEN 'open'
      THEN 'yes'
      WHEN 'closed'
      THEN 'no'
      ELSE CAST(NULL AS VARCHAR(50))
    END COLLATE "C" AS "location_source_value",
    CASE WHEN "p"."city" IS NULL THEN 'location_id: missing' END COLLATE "C" AS "row_reason"
  FROM "source"."places" AS "p"
) AS "rows";

-- rows of places, typed and resolved
ANALYZE "work"."stage_places";

-- write_location: write cdm.location from places

-- ids of location: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_location" (
  "location_id" BIGINT NOT NULL,
  "key_1" TEXT COLLATE "C"
);

-- the natural key of cdm.location has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.location and drop work.registry_location and work.key_location
SELECT
  "location_id",
  "key_1"
FROM "work"."registry_location"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_location"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_location" (
  "location_id",
  "key_1"
)
SELECT
  (
    SELECT
      COALESCE(MAX("location_id"), 0)
    FROM "work"."registry_location"
  ) + "numbered"."key_number",
  "numbered"."key_1"
FROM (
  SELECT
    ROW_NUMBER() OVER (ORDER BY "present"."key_1") AS "key_number",
    "present"."key_1"
  FROM (
    SELECT DISTINCT
      "stage"."key_1"
    FROM "work"."stage_places" AS "stage"
    WHERE
      "stage"."row_fate" = 'written'
  ) AS "present"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "work"."registry_location" AS "registry"
      WHERE
        "registry"."key_1" = "present"."key_1"
    )
) AS "numbered";

-- the keys of this run, with their ids
DROP TABLE IF EXISTS "work"."key_location";

-- the keys of this run, with their ids
CREATE TABLE "work"."key_location" AS
SELECT
  "registry"."location_id",
  "registry"."key_1"
FROM (
  SELECT DISTINCT
    "stage"."key_1"
  FROM "work"."stage_places" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "present"
JOIN "work"."registry_location" AS "registry"
  ON "registry"."key_1" = "present"."key_1";

-- the keys of this run, with their ids
ANALYZE "work"."key_location";

-- cdm.location becomes the union of its mappings
TRUNCATE TABLE   "cdm"."location";

-- cdm.location becomes the union of its mappings
INSERT INTO "cdm"."location" (
  "location_id",
  "city",
  "location_source_value"
)
SELECT
  "present"."location_id" AS "location_id",
  LEFT("stage"."city", 50) AS "city",
  "stage"."location_source_value" AS "location_source_value"
FROM "work"."stage_places" AS "stage"
JOIN "work"."key_location" AS "present"
  ON "present"."key_1" = "stage"."key_1"
WHERE
  "stage"."row_fate" = 'written';

-- cdm.location becomes the union of its mappings
ANALYZE "cdm"."location";

-- cdm.location has rows with the same location_id
SELECT
  "location_id",
  COUNT(*) AS "row_count"
FROM "cdm"."location"
GROUP BY
  "location_id"
HAVING
  COUNT(*) > 1;
