-- stage_places: stage the rows of the mapping places

-- codes of places and their concepts
DROP TABLE IF EXISTS "work"."codes_places";

-- codes of places and their concepts
CREATE TABLE "work"."codes_places" AS
WITH "used" AS (
  SELECT
    'place_of_service' COLLATE "C" AS "role",
    'Visit, Own' COLLATE "C" AS "vocabulary",
    'Visit' COLLATE "C" AS "vocabulary_id",
    1 AS "preference",
    'Visit' COLLATE "C" AS "domain_id",
    "p"."kind" AS "code",
    COUNT(*) AS "source_rows"
  FROM "source"."places" AS "p"
  WHERE
    "p"."kind" <> 'closed' AND NOT "p"."kind" IS NULL
  GROUP BY
    "p"."kind"
  UNION ALL
  SELECT
    'place_of_service' COLLATE "C" AS "role",
    'Visit, Own' COLLATE "C" AS "vocabulary",
    'Own' COLLATE "C" AS "vocabulary_id",
    2 AS "preference",
    'Visit' COLLATE "C" AS "domain_id",
    "p"."kind" AS "code",
    COUNT(*) AS "source_rows"
  FROM "source"."places" AS "p"
  WHERE
    "p"."kind" <> 'closed' AND NOT "p"."kind" IS NULL
  GROUP BY
    "p"."kind"
), "source_concept" AS (
  SELECT
    "role",
    "vocabulary",
    "preference",
    "code",
    "concept_id",
    "domain_id",
    ROW_NUMBER() OVER (PARTITION BY "role", "vocabulary", "code" ORDER BY "preference") AS "best"
  FROM (
    SELECT
      "used"."role",
      "used"."vocabulary",
      "used"."preference",
      "used"."code",
      "concept"."concept_id",
      "concept"."domain_id",
      ROW_NUMBER() OVER (
        PARTITION BY "used"."role", "used"."vocabulary", "used"."preference", "used"."code"
        ORDER BY CASE WHEN "concept"."invalid_reason" IS NULL THEN 0 ELSE 1 END, "concept"."valid_start_date" DESC NULLS LAST, "concept"."concept_id"
      ) AS "choice"
    FROM "used"
    JOIN "vocab"."concept" AS "concept"
      ON "concept"."vocabulary_id" = "used"."vocabulary_id"
      AND "concept"."concept_code" = "used"."code"
  ) AS "candidates"
  WHERE
    "choice" = 1
), "mapped_concept" AS (
  SELECT
    "source_concept"."role",
    "source_concept"."vocabulary",
    "source_concept"."preference",
    "source_concept"."code",
    "maps_to"."relationship_id",
    "concept"."concept_id",
    "concept"."domain_id"
  FROM "source_concept"
  JOIN "vocab"."concept_relationship" AS "maps_to"
    ON "maps_to"."concept_id_1" = "source_concept"."concept_id"
    AND "maps_to"."relationship_id" = 'Maps to'
    AND "maps_to"."invalid_reason" IS NULL
  JOIN "vocab"."concept" AS "concept"
    ON "concept"."concept_id" = "maps_to"."concept_id_2"
    AND "concept"."standard_concept" = 'S'
    AND "concept"."invalid_reason" IS NULL
), "standard_concept" AS (
  SELECT
    "used"."role",
    "used"."vocabulary",
    "used"."preference",
    "used"."code",
    "concept"."concept_id",
    "concept"."domain_id",
    1 AS "origin"
  FROM "used"
  JOIN "vocab"."source_to_concept_map" AS "own_map"
    ON "own_map"."source_vocabulary_id" = "used"."vocabulary_id"
    AND "own_map"."source_code" = "used"."code"
    AND "own_map"."invalid_reason" IS NULL
    AND CURRENT_DATE BETWEEN "own_map"."valid_start_date" AND "own_map"."valid_end_date"
  JOIN "vocab"."concept" AS "concept"
    ON "concept"."concept_id" = "own_map"."target_concept_id"
    AND "concept"."standard_concept" = 'S'
    AND "concept"."invalid_reason" IS NULL
    AND (
      "used"."domain_id" IS NULL OR "concept"."domain_id" = "used"."domain_id"
    )
  UNION
  SELECT
    "used"."role",
    "used"."vocabulary",
    "used"."preference",
    "used"."code",
    "mapped_concept"."concept_id",
    "mapped_concept"."domain_id",
    2 AS "origin"
  FROM "used"
  JOIN "mapped_concept"
    ON "mapped_concept"."role" = "used"."role"
    AND "mapped_concept"."vocabulary" = "used"."vocabulary"
    AND "mapped_concept"."preference" = "used"."preference"
    AND "mapped_concept"."code" = "used"."code"
    AND "mapped_concept"."relationship_id" = 'Maps to'
    AND (
      "used"."domain_id" IS NULL OR "mapped_concept"."domain_id" = "used"."domain_id"
    )
), "best_concept" AS (
  SELECT
    "role",
    "vocabulary",
    "preference",
    "code",
    "concept_id",
    "domain_id",
    "origin"
  FROM (
    SELECT
      "role",
      "vocabulary",
      "preference",
      "code",
      "concept_id",
      "domain_id",
      "origin",
      DENSE_RANK() OVER (PARTITION BY "role", "vocabulary", "code" ORDER BY "preference", "origin") AS "choice"
    FROM "standard_concept"
  ) AS "ranked"
  WHERE
    "choice" = 1
), "chosen" AS (
  SELECT
    "role",
    "vocabulary",
    "code",
    "concept_id",
    "domain_id",
    "value_concept_id",
    ROW_NUMBER() OVER (
      PARTITION BY "role", "vocabulary", "code"
      ORDER BY "concept_id", "value_concept_id"
    ) AS "fan_out"
  FROM (
    SELECT
      "role",
      "vocabulary",
      "code",
      "concept_id",
      "domain_id",
      CAST(NULL AS INT) AS "value_concept_id"
    FROM "best_concept"
  ) AS "valued"
)
SELECT
  "used"."role",
  "used"."vocabulary",
  "used"."code",
  "used"."source_rows",
  COALESCE("source_concept"."concept_id", 0) AS "source_concept_id",
  COALESCE("chosen"."concept_id", 0) AS "concept_id",
  COALESCE("chosen"."domain_id", "source_concept"."domain_id") AS "domain_id",
  "chosen"."value_concept_id",
  COALESCE("chosen"."fan_out", 1) AS "fan_out"
FROM "used"
LEFT JOIN "source_concept"
  ON "source_concept"."role" = "used"."role"
  AND "source_concept"."vocabulary" = "used"."vocabulary"
  AND "source_concept"."code" = "used"."code"
  AND "source_concept"."best" = 1
LEFT JOIN "chosen"
  ON "chosen"."role" = "used"."role"
  AND "chosen"."vocabulary" = "used"."vocabulary"
  AND "chosen"."code" = "used"."code"
WHERE
  "used"."preference" = 1;

-- codes of places and their concepts
ANALYZE "work"."codes_places";

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
      ORDER BY "rows"."care_site_name", "rows"."place_of_service_concept_id", "rows"."care_site_source_value"
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END COLLATE "C" AS "row_fate"
FROM (
  SELECT
    "p"."city" AS "key_1",
    "p"."name" AS "key_2",
    "p"."name" AS "care_site_name",
    CASE
      WHEN "p"."kind" IS NULL
      THEN NULL
      ELSE COALESCE("place_of_service_code"."concept_id", 0)
    END AS "place_of_service_concept_id",
    CAST("p"."city" || ', ' || "p"."name" AS TEXT) COLLATE "C" AS "care_site_source_value",
    CASE WHEN COALESCE("p"."city", "p"."name") IS NULL THEN 'care_site_id: missing' END COLLATE "C" AS "row_reason"
  FROM "source"."places" AS "p"
  LEFT JOIN "work"."codes_places" AS "place_of_service_code"
    ON "place_of_service_code"."role" = 'place_of_service'
    AND "place_of_service_code"."vocabulary" = 'Visit, Own'
    AND "place_of_service_code"."code" = "p"."kind"
    AND "place_of_service_code"."fan_out" = 1
  WHERE
    "p"."kind" <> 'closed'
) AS "rows";

-- rows of places, typed and resolved
ANALYZE "work"."stage_places";

-- write_care_site: write cdm.care_site from places

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
      COALESCE(MAX("care_site_id"), 0)
    FROM "work"."registry_care_site"
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

-- the keys of this run, with their ids
DROP TABLE IF EXISTS "work"."key_care_site";

-- the keys of this run, with their ids
CREATE TABLE "work"."key_care_site" AS
SELECT
  "registry"."care_site_id",
  "registry"."key_1",
  "registry"."key_2"
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

-- the keys of this run, with their ids
ANALYZE "work"."key_care_site";

-- cdm.care_site becomes the union of its mappings
TRUNCATE TABLE   "cdm"."care_site";

-- cdm.care_site becomes the union of its mappings
INSERT INTO "cdm"."care_site" (
  "care_site_id",
  "care_site_name",
  "place_of_service_concept_id",
  "care_site_source_value"
)
SELECT
  "present"."care_site_id" AS "care_site_id",
  LEFT("stage"."care_site_name", 255) AS "care_site_name",
  "stage"."place_of_service_concept_id" AS "place_of_service_concept_id",
  LEFT("stage"."care_site_source_value", 50) AS "care_site_source_value"
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
