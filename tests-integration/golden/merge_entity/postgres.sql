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
  WHERE
    "p"."kind" <> 'closed'
) AS "rows";

-- rows of places, typed and resolved
ANALYZE "work"."stage_places";

-- keys that places leaves out
DROP TABLE IF EXISTS "work"."excluded_places";

-- keys that places leaves out
CREATE TABLE "work"."excluded_places" AS
SELECT DISTINCT
  "p"."city" AS "key_1",
  "p"."name" AS "key_2"
FROM "source"."places" AS "p"
WHERE
  NOT COALESCE((
    "p"."kind" <> 'closed'
  ), FALSE);

-- keys that places leaves out
ANALYZE "work"."excluded_places";

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

-- cdm.care_site was written with `write: full`, which does not remember the keys of its rows; write it once with `write: merge` and `deletes: delete` from the complete source, or empty the table; rows
SELECT
  COUNT(*) AS "row_count"
FROM "cdm"."care_site"
WHERE
  "care_site_id" <= (
    SELECT
      MAX("last_id")
    FROM "work"."full_care_site"
  )
HAVING
  COUNT(*) > 0;

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

-- ids of care_site: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_care_site" (
  "care_site_id" BIGINT NOT NULL,
  "key_1" TEXT COLLATE "C",
  "key_2" TEXT COLLATE "C"
);

-- the natural key of cdm.care_site has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.care_site and drop work.registry_care_site and work.key_care_site
SELECT
  "care_site_id",
  "key_1",
  "key_2"
FROM "work"."registry_care_site"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_care_site"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_care_site" (
  "care_site_id",
  "key_1",
  "key_2"
)
SELECT
  (
    SELECT
      COALESCE(MAX("ids"."care_site_id"), 0)
    FROM (
      SELECT
        "care_site_id"
      FROM "work"."registry_care_site"
      UNION ALL
      SELECT
        "care_site_id"
      FROM "cdm"."care_site"
      WHERE
        "care_site_id" < 9007199254740992
    ) AS "ids"
  ) + "numbered"."key_number",
  "numbered"."key_1",
  "numbered"."key_2"
FROM (
  SELECT
    ROW_NUMBER() OVER (ORDER BY "present"."key_1", "present"."key_2") AS "key_number",
    "present"."key_1",
    "present"."key_2"
  FROM (
    SELECT DISTINCT
      "stage"."key_1",
      "stage"."key_2"
    FROM "work"."stage_places" AS "stage"
    WHERE
      "stage"."row_fate" = 'written'
  ) AS "present"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "work"."registry_care_site" AS "registry"
      WHERE
        "registry"."key_1" IS NOT DISTINCT FROM "present"."key_1"
        AND "registry"."key_2" IS NOT DISTINCT FROM "present"."key_2"
    )
) AS "numbered";

-- ids of cdm.care_site reach 2^53, from where on OMOP tools confuse them; remove the rows with such ids, which other programs wrote
SELECT
  MAX("care_site_id") AS "greatest_id"
FROM "work"."registry_care_site"
HAVING
  MAX("care_site_id") >= 9007199254740992;

-- the rows of this run, with their ids
DROP TABLE IF EXISTS "work"."change_care_site";

-- the rows of this run, with their ids
CREATE TABLE "work"."change_care_site" AS
SELECT
  "registry"."care_site_id",
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
) AS "present"
JOIN "work"."registry_care_site" AS "registry"
  ON "registry"."key_1" IS NOT DISTINCT FROM "present"."key_1"
  AND "registry"."key_2" IS NOT DISTINCT FROM "present"."key_2";

-- the rows of this run, with their ids
ANALYZE "work"."change_care_site";

-- rows of ours, of keys that the source has, that it makes no longer
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
  )
  AND EXISTS(
    SELECT
      1
    FROM (
      SELECT
        "stage"."key_1",
        "stage"."key_2"
      FROM "work"."stage_places" AS "stage"
      UNION ALL
      SELECT
        "stage"."key_1",
        "stage"."key_2"
      FROM "work"."excluded_places" AS "stage"
    ) AS "seen"
    WHERE
      "seen"."key_1" IS NOT DISTINCT FROM "old"."key_1"
      AND "seen"."key_2" IS NOT DISTINCT FROM "old"."key_2"
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
