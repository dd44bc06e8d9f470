-- stage_visits: stage the rows of the mapping visits

-- rows of visits, typed and resolved
DROP TABLE IF EXISTS "work"."delivered_visits";

-- rows of visits, typed and resolved
CREATE TABLE "work"."delivered_visits" AS
WITH "rows" AS (
  SELECT
    "e"."code" AS "key_1",
    "person_key"."person_id" AS "person_id",
    "e"."system" AS "source_value",
    32827 AS "type_concept_id",
    CAST(NULL AS BIGINT) AS "provider_id",
    CAST(NULL AS BIGINT) AS "care_site_id",
    CAST("read"."start" AS DATE) AS "start_date",
    "read"."start" AS "start_datetime",
    CAST(NULL AS DATE) AS "end_date",
    CAST(NULL AS TIMESTAMP) AS "end_datetime",
    CAST(NULL AS INT) AS "admitted_from_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "admitted_from_source_value",
    CAST(NULL AS INT) AS "discharged_to_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "discharged_to_source_value",
    CASE
      WHEN "e"."code" IS NULL
      THEN 'key: missing'
      WHEN "person_key"."person_id" IS NULL AND NOT "e"."patient" IS NULL
      THEN 'person_id: unknown person'
      WHEN "person_key"."person_id" IS NULL
      THEN 'person_id: missing'
      WHEN CAST("read"."start" AS DATE) IS NULL
      AND (
        NOT "e"."start" IS NULL AND "read"."start" IS NULL
      )
      THEN 'start_date: unreadable'
      WHEN CAST("read"."start" AS DATE) IS NULL
      THEN 'start_date: missing'
    END COLLATE "C" AS "row_reason"
  FROM "source"."events" AS "e"
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
  WHERE
    NOT "e"."unit" IS NULL
), "repeated" AS (
  SELECT
    "key_1",
    COUNT(*) AS "row_count"
  FROM "rows"
  WHERE
    "row_reason" IS NULL
  GROUP BY
    "key_1"
  HAVING
    COUNT(*) > 1
), "counted" AS (
  SELECT
    "rows"."key_1",
    "rows"."person_id",
    "rows"."source_value",
    "rows"."type_concept_id",
    "rows"."provider_id",
    "rows"."care_site_id",
    "rows"."start_date",
    "rows"."start_datetime",
    "rows"."end_date",
    "rows"."end_datetime",
    "rows"."admitted_from_concept_id",
    "rows"."admitted_from_source_value",
    "rows"."discharged_to_concept_id",
    "rows"."discharged_to_source_value",
    "rows"."row_reason",
    1 AS "occurrence"
  FROM "rows"
  LEFT JOIN "repeated"
    ON "repeated"."key_1" = "rows"."key_1" AND "rows"."row_reason" IS NULL
  WHERE
    "repeated"."row_count" IS NULL
  UNION ALL
  SELECT
    "rows"."key_1",
    "rows"."person_id",
    "rows"."source_value",
    "rows"."type_concept_id",
    "rows"."provider_id",
    "rows"."care_site_id",
    "rows"."start_date",
    "rows"."start_datetime",
    "rows"."end_date",
    "rows"."end_datetime",
    "rows"."admitted_from_concept_id",
    "rows"."admitted_from_source_value",
    "rows"."discharged_to_concept_id",
    "rows"."discharged_to_source_value",
    "rows"."row_reason",
    ROW_NUMBER() OVER (
      PARTITION BY "rows"."key_1"
      ORDER BY "rows"."person_id", "rows"."source_value", "rows"."type_concept_id", "rows"."provider_id", "rows"."care_site_id", "rows"."start_date", "rows"."start_datetime", "rows"."end_date", "rows"."end_datetime", "rows"."admitted_from_concept_id", "rows"."admitted_from_source_value", "rows"."discharged_to_concept_id", "rows"."discharged_to_source_value"
    ) AS "occurrence"
  FROM "rows"
  JOIN "repeated"
    ON "repeated"."key_1" = "rows"."key_1"
  WHERE
    "rows"."row_reason" IS NULL
)
SELECT
  "counted"."key_1",
  "counted"."person_id",
  "counted"."source_value",
  "counted"."type_concept_id",
  "counted"."provider_id",
  "counted"."care_site_id",
  "counted"."start_date",
  "counted"."start_datetime",
  CASE
    WHEN "counted"."end_datetime" > "counted"."start_datetime"
    THEN "counted"."end_date"
    ELSE "counted"."start_date"
  END AS "end_date",
  CASE
    WHEN "counted"."end_datetime" > "counted"."start_datetime"
    THEN "counted"."end_datetime"
    ELSE "counted"."start_datetime"
  END AS "end_datetime",
  "counted"."admitted_from_concept_id",
  "counted"."admitted_from_source_value",
  "counted"."discharged_to_concept_id",
  "counted"."discharged_to_source_value",
  "counted"."row_reason",
  CASE
    WHEN NOT "counted"."row_reason" IS NULL
    THEN 'quarantined'
    WHEN "counted"."occurrence" = 1
    THEN 'written'
    ELSE 'quarantined'
  END COLLATE "C" AS "row_fate"
FROM "counted";

-- rows of visits, typed and resolved
ANALYZE "work"."delivered_visits";

-- keys that visits leaves out
DROP TABLE IF EXISTS "work"."excluded_visits";

-- keys that visits leaves out
CREATE TABLE "work"."excluded_visits" AS
SELECT DISTINCT
  "e"."code" AS "key_1"
FROM "source"."events" AS "e"
WHERE
  NOT COALESCE((
    NOT "e"."unit" IS NULL
  ), FALSE);

-- keys that visits leaves out
ANALYZE "work"."excluded_visits";

-- encounters of earlier deliveries
CREATE TABLE IF NOT EXISTS "work"."stage_visits" (
  "key_1" TEXT COLLATE "C",
  "person_id" BIGINT,
  "source_value" TEXT COLLATE "C",
  "type_concept_id" INT,
  "provider_id" BIGINT,
  "care_site_id" BIGINT,
  "start_date" DATE,
  "start_datetime" TIMESTAMP,
  "end_date" DATE,
  "end_datetime" TIMESTAMP,
  "admitted_from_concept_id" INT,
  "admitted_from_source_value" TEXT COLLATE "C",
  "discharged_to_concept_id" INT,
  "discharged_to_source_value" TEXT COLLATE "C",
  "row_reason" TEXT COLLATE "C",
  "row_fate" TEXT COLLATE "C"
);

-- work.stage_visits is not of encounters, as another mapping of this name has made it; run the mapping once with `write: full` from the complete source
SELECT
  "known"."key_1",
  "known"."person_id",
  "known"."source_value",
  "known"."type_concept_id",
  "known"."provider_id",
  "known"."care_site_id",
  "known"."start_date",
  "known"."start_datetime",
  "known"."end_date",
  "known"."end_datetime",
  "known"."admitted_from_concept_id",
  "known"."admitted_from_source_value",
  "known"."discharged_to_concept_id",
  "known"."discharged_to_source_value",
  "known"."row_reason",
  "known"."row_fate"
FROM "work"."stage_visits" AS "known"
WHERE
  FALSE;

-- encounters of visits, of this delivery and of earlier ones
DROP TABLE IF EXISTS "work"."known_visits";

-- encounters of visits, of this delivery and of earlier ones
CREATE TABLE "work"."known_visits" AS
SELECT
  "delivered"."key_1",
  "delivered"."person_id",
  "delivered"."source_value",
  "delivered"."type_concept_id",
  "delivered"."provider_id",
  "delivered"."care_site_id",
  "delivered"."start_date",
  "delivered"."start_datetime",
  "delivered"."end_date",
  "delivered"."end_datetime",
  "delivered"."admitted_from_concept_id",
  "delivered"."admitted_from_source_value",
  "delivered"."discharged_to_concept_id",
  "delivered"."discharged_to_source_value",
  "delivered"."row_reason",
  "delivered"."row_fate",
  TRUE AS "is_delivered"
FROM "work"."delivered_visits" AS "delivered"
UNION ALL
SELECT
  "known"."key_1",
  "known"."person_id",
  "known"."source_value",
  "known"."type_concept_id",
  "known"."provider_id",
  "known"."care_site_id",
  "known"."start_date",
  "known"."start_datetime",
  "known"."end_date",
  "known"."end_datetime",
  "known"."admitted_from_concept_id",
  "known"."admitted_from_source_value",
  "known"."discharged_to_concept_id",
  "known"."discharged_to_source_value",
  "known"."row_reason",
  "known"."row_fate",
  FALSE AS "is_delivered"
FROM "work"."stage_visits" AS "known"
WHERE
  "known"."row_fate" = 'written'
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."delivered_visits" AS "seen"
    WHERE
      "seen"."key_1" = "known"."key_1"
  )
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."excluded_visits" AS "seen"
    WHERE
      "seen"."key_1" = "known"."key_1"
  );

-- encounters of visits, of this delivery and of earlier ones
ANALYZE "work"."known_visits";

-- rows of visits, typed, resolved and grouped
DROP TABLE IF EXISTS "work"."stage_visits";

-- rows of visits, typed, resolved and grouped
CREATE TABLE "work"."stage_visits" AS
WITH "rows" AS (
  SELECT
    "rows"."key_1",
    "rows"."person_id",
    "rows"."source_value",
    "rows"."type_concept_id",
    "rows"."provider_id",
    "rows"."care_site_id",
    "rows"."start_date",
    "rows"."start_datetime",
    "rows"."end_date",
    "rows"."end_datetime",
    "rows"."admitted_from_concept_id",
    "rows"."admitted_from_source_value",
    "rows"."discharged_to_concept_id",
    "rows"."discharged_to_source_value",
    "rows"."is_delivered",
    "rows"."row_reason",
    "rows"."row_fate"
  FROM "work"."known_visits" AS "rows"
), "encounters" AS (
  SELECT
    "key_1",
    "person_id",
    "source_value",
    "type_concept_id",
    "provider_id",
    "care_site_id",
    "start_date",
    "start_datetime",
    "end_date",
    "end_datetime",
    "admitted_from_concept_id",
    "admitted_from_source_value",
    "discharged_to_concept_id",
    "discharged_to_source_value",
    "is_delivered",
    "row_reason",
    "row_fate",
    CASE WHEN "row_fate" = 'written' THEN "person_id" END AS "of_person"
  FROM "rows"
), "staying" AS (
  SELECT
    "person_id",
    "start_date",
    "end_date",
    CAST(NULL AS INT) AS "class_rank"
  FROM "encounters"
  WHERE
    NOT "of_person" IS NULL AND (
      FALSE OR "end_date" > "start_date"
    )
), "placed" AS (
  SELECT
    "person_id",
    "start_date",
    "end_date",
    "class_rank",
    SUM(
      CASE
        WHEN (
          CAST("start_date" AS DATE) - CAST("reached_date" AS DATE)
        ) <= 1
        THEN 0
        ELSE 1
      END
    ) OVER (
      PARTITION BY "person_id"
      ORDER BY "start_date", "end_date"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "stay_number"
  FROM (
    SELECT
      "person_id",
      "start_date",
      "end_date",
      "class_rank",
      MAX("end_date") OVER (
        PARTITION BY "person_id"
        ORDER BY "start_date", "end_date"
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS "reached_date"
    FROM "staying"
  ) AS "reached"
), "stays" AS (
  SELECT
    "person_id",
    "stay_number",
    MIN("start_date") AS "first_date",
    MAX("end_date") AS "last_date",
    MIN("class_rank") AS "class_rank"
  FROM "placed"
  GROUP BY
    "person_id",
    "stay_number"
), "met" AS (
  SELECT
    "encounters"."key_1",
    "encounters"."person_id",
    "encounters"."source_value",
    "encounters"."type_concept_id",
    "encounters"."provider_id",
    "encounters"."care_site_id",
    "encounters"."start_date",
    "encounters"."start_datetime",
    "encounters"."end_date",
    "encounters"."end_datetime",
    "encounters"."admitted_from_concept_id",
    "encounters"."admitted_from_source_value",
    "encounters"."discharged_to_concept_id",
    "encounters"."discharged_to_source_value",
    "encounters"."is_delivered",
    "encounters"."row_reason",
    "encounters"."row_fate",
    "encounters"."of_person",
    CASE
      WHEN "encounters"."end_date" <= "stays"."last_date"
      THEN "stays"."stay_number"
    END AS "stay_number",
    "stays"."first_date",
    "stays"."class_rank"
  FROM "encounters"
  LEFT JOIN (
    SELECT
      "row_by",
      "moment",
      "latest_at"
    FROM (
      SELECT
        "row_by",
        "moment",
        "is_row",
        MAX("latest_at") OVER (
          PARTITION BY "row_by"
          ORDER BY "moment" NULLS FIRST, "is_row" NULLS FIRST
          ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS "latest_at"
      FROM (
        SELECT
          "of_person" AS "row_by",
          "start_date" AS "moment",
          1 AS "is_row",
          NULL AS "latest_at"
        FROM "encounters"
        UNION
        SELECT
          "person_id" AS "row_by",
          "first_date" AS "moment",
          0 AS "is_row",
          "first_date" AS "latest_at"
        FROM "stays"
      ) AS "moments"
    ) AS "passed"
    WHERE
      "is_row" = 1
  ) AS "latest"
    ON "latest"."row_by" = "encounters"."of_person"
    AND "latest"."moment" = "encounters"."start_date"
  LEFT JOIN "stays"
    ON "stays"."person_id" = "latest"."row_by"
    AND "stays"."first_date" = "latest"."latest_at"
), "numbered" AS (
  SELECT
    "key_1",
    "person_id",
    "source_value",
    "type_concept_id",
    "provider_id",
    "care_site_id",
    "start_date",
    "start_datetime",
    "end_date",
    "end_datetime",
    "admitted_from_concept_id",
    "admitted_from_source_value",
    "discharged_to_concept_id",
    "discharged_to_source_value",
    "is_delivered",
    "row_reason",
    "row_fate",
    "of_person",
    CASE "source_value" WHEN 'ambulatory' THEN 9202 ELSE 0 END AS "concept_id",
    ROW_NUMBER() OVER (PARTITION BY "of_person" ORDER BY "start_datetime", "end_datetime", "key_1") AS "encounter_number",
    CASE WHEN NOT "stay_number" IS NULL THEN "class_rank" END AS "class_rank",
    CASE
      WHEN NOT "stay_number" IS NULL AND "start_date" = "first_date" AND FALSE
      THEN 1
      ELSE 0
    END AS "is_emergency",
    CASE
      WHEN NOT "stay_number" IS NULL
      THEN -1
      WHEN FALSE
      THEN CASE "source_value" WHEN 'ambulatory' THEN 9202 ELSE 0 END
    END AS "visit_kind",
    CASE
      WHEN NOT "stay_number" IS NULL
      THEN "stay_number"
      ELSE (
        CAST("start_date" AS DATE) - CAST('1970-01-01' AS DATE)
      )
    END AS "visit_part"
  FROM "met"
), "visits" AS (
  SELECT
    "of_person",
    "visit_kind",
    "visit_part",
    MIN("encounter_number") AS "visit_number",
    MAX("end_datetime") AS "visit_end_datetime",
    MAX("is_emergency") AS "is_emergency"
  FROM "numbered"
  WHERE
    NOT "of_person" IS NULL AND NOT "visit_kind" IS NULL
  GROUP BY
    "of_person",
    "visit_kind",
    "visit_part"
  HAVING
    COUNT(*) > 1
)
SELECT
  "numbered"."key_1",
  "numbered"."person_id",
  "numbered"."source_value",
  "numbered"."type_concept_id",
  "numbered"."provider_id",
  "numbered"."care_site_id",
  "numbered"."start_date",
  "numbered"."start_datetime",
  "numbered"."end_date",
  "numbered"."end_datetime",
  "numbered"."admitted_from_concept_id",
  "numbered"."admitted_from_source_value",
  "numbered"."discharged_to_concept_id",
  "numbered"."discharged_to_source_value",
  "numbered"."is_delivered",
  "numbered"."row_reason",
  "numbered"."row_fate",
  "numbered"."concept_id",
  "numbered"."encounter_number",
  CASE
    WHEN "numbered"."row_fate" = 'written'
    THEN COALESCE("visits"."visit_number", "numbered"."encounter_number")
  END AS "visit_number",
  CASE
    WHEN "numbered"."visit_kind" = -1
    THEN CASE
      WHEN COALESCE("visits"."is_emergency", "numbered"."is_emergency") = 1
      THEN 262
      ELSE 9201
    END
    ELSE "numbered"."concept_id"
  END AS "visit_concept_id",
  "numbered"."source_value" AS "visit_source_value",
  CAST(COALESCE("visits"."visit_end_datetime", "numbered"."end_datetime") AS DATE) AS "visit_end_date",
  COALESCE("visits"."visit_end_datetime", "numbered"."end_datetime") AS "visit_end_datetime"
FROM "numbered"
LEFT JOIN "visits"
  ON "visits"."of_person" = "numbered"."of_person"
  AND "visits"."visit_kind" = "numbered"."visit_kind"
  AND "visits"."visit_part" = "numbered"."visit_part";

-- rows of visits, typed, resolved and grouped
ANALYZE "work"."stage_visits";

-- keys_visit_occurrence: ids of cdm.visit_occurrence from visits

-- ids of visit_occurrence: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_visit_occurrence" (
  "visit_occurrence_id" BIGINT NOT NULL,
  "key_1" TEXT COLLATE "C"
);

-- the natural key of cdm.visit_occurrence has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.visit_occurrence and drop work.registry_visit_occurrence and work.key_visit_occurrence
SELECT
  "visit_occurrence_id",
  "key_1"
FROM "work"."registry_visit_occurrence"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_visit_occurrence"
WHERE
  FALSE;

-- the groups of this run: new ones get next ids
DROP TABLE IF EXISTS "work"."group_visit_occurrence";

-- the groups of this run: new ones get next ids
CREATE TABLE "work"."group_visit_occurrence" AS
SELECT
  "numbered"."visit_occurrence_id",
  "numbered"."person_id",
  "numbered"."visit_number",
  LAG("numbered"."visit_occurrence_id") OVER (PARTITION BY "numbered"."person_id" ORDER BY "numbered"."visit_number") AS "preceding_id"
FROM (
  SELECT
    COALESCE(
      "each"."known_id",
      (
        SELECT
          COALESCE(MAX("visit_occurrence_id"), 0)
        FROM "work"."registry_visit_occurrence"
      ) + "each"."group_number"
    ) AS "visit_occurrence_id",
    "each"."person_id",
    "each"."visit_number"
  FROM (
    SELECT
      ROW_NUMBER() OVER (
        ORDER BY CASE WHEN "registered"."visit_occurrence_id" IS NULL THEN 0 ELSE 1 END, "stage"."person_id", "stage"."visit_number"
      ) AS "group_number",
      "registered"."visit_occurrence_id" AS "known_id",
      "stage"."person_id",
      "stage"."visit_number"
    FROM "work"."stage_visits" AS "stage"
    LEFT JOIN (
      SELECT
        "stage"."person_id",
        "stage"."visit_number",
        MIN("registry"."visit_occurrence_id") AS "visit_occurrence_id"
      FROM "work"."stage_visits" AS "stage"
      JOIN "work"."registry_visit_occurrence" AS "registry"
        ON "registry"."key_1" = "stage"."key_1"
      WHERE
        "stage"."row_fate" = 'written'
      GROUP BY
        "stage"."person_id",
        "stage"."visit_number"
    ) AS "registered"
      ON "registered"."person_id" = "stage"."person_id"
      AND "registered"."visit_number" = "stage"."visit_number"
    WHERE
      "stage"."row_fate" = 'written'
      AND "stage"."encounter_number" = "stage"."visit_number"
  ) AS "each"
) AS "numbered";

-- the groups of this run: new ones get next ids
ANALYZE "work"."group_visit_occurrence";

-- the keys of new groups are remembered
INSERT INTO "work"."registry_visit_occurrence" (
  "visit_occurrence_id",
  "key_1"
)
SELECT
  "present"."visit_occurrence_id",
  "stage"."key_1"
FROM "work"."stage_visits" AS "stage"
JOIN "work"."group_visit_occurrence" AS "present"
  ON "present"."person_id" = "stage"."person_id"
  AND "present"."visit_number" = "stage"."visit_number"
WHERE
  "stage"."row_fate" = 'written'
  AND "stage"."encounter_number" = "stage"."visit_number"
  AND "present"."visit_occurrence_id" > (
    SELECT
      COALESCE(MAX("visit_occurrence_id"), 0)
    FROM "work"."registry_visit_occurrence"
  );

-- write_visit_occurrence: write cdm.visit_occurrence from visits

-- cdm.visit_occurrence becomes the union of its mappings
TRUNCATE TABLE   "cdm"."visit_occurrence";

-- cdm.visit_occurrence becomes the union of its mappings
INSERT INTO "cdm"."visit_occurrence" (
  "visit_occurrence_id",
  "person_id",
  "visit_concept_id",
  "visit_start_date",
  "visit_start_datetime",
  "visit_end_date",
  "visit_end_datetime",
  "visit_type_concept_id",
  "provider_id",
  "care_site_id",
  "visit_source_value",
  "preceding_visit_occurrence_id"
)
SELECT
  "present"."visit_occurrence_id" AS "visit_occurrence_id",
  "stage"."person_id" AS "person_id",
  "stage"."visit_concept_id" AS "visit_concept_id",
  "stage"."start_date" AS "visit_start_date",
  "stage"."start_datetime" AS "visit_start_datetime",
  "stage"."visit_end_date" AS "visit_end_date",
  "stage"."visit_end_datetime" AS "visit_end_datetime",
  "stage"."type_concept_id" AS "visit_type_concept_id",
  "stage"."provider_id" AS "provider_id",
  "stage"."care_site_id" AS "care_site_id",
  LEFT("stage"."visit_source_value", 50) AS "visit_source_value",
  "present"."preceding_id" AS "preceding_visit_occurrence_id"
FROM "work"."stage_visits" AS "stage"
JOIN "work"."group_visit_occurrence" AS "present"
  ON "present"."person_id" = "stage"."person_id"
  AND "present"."visit_number" = "stage"."visit_number"
WHERE
  "stage"."row_fate" = 'written'
  AND "stage"."encounter_number" = "stage"."visit_number";

-- cdm.visit_occurrence becomes the union of its mappings
ANALYZE "cdm"."visit_occurrence";

-- cdm.visit_occurrence has rows with the same visit_occurrence_id
SELECT
  "visit_occurrence_id",
  COUNT(*) AS "row_count"
FROM "cdm"."visit_occurrence"
GROUP BY
  "visit_occurrence_id"
HAVING
  COUNT(*) > 1;

-- keys_visit_detail: ids of cdm.visit_detail from visits

-- ids of visit_detail: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_visit_detail" (
  "visit_detail_id" BIGINT NOT NULL,
  "key_1" TEXT COLLATE "C"
);

-- the natural key of cdm.visit_detail has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.visit_detail and drop work.registry_visit_detail and work.key_visit_detail
SELECT
  "visit_detail_id",
  "key_1"
FROM "work"."registry_visit_detail"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_visit_detail"
WHERE
  FALSE;

-- the groups of this run: new ones get next ids
DROP TABLE IF EXISTS "work"."group_visit_detail";

-- the groups of this run: new ones get next ids
CREATE TABLE "work"."group_visit_detail" AS
SELECT
  "numbered"."visit_detail_id",
  "numbered"."person_id",
  "numbered"."encounter_number",
  LAG("numbered"."visit_detail_id") OVER (PARTITION BY "numbered"."person_id" ORDER BY "numbered"."encounter_number") AS "preceding_id"
FROM (
  SELECT
    COALESCE(
      "each"."known_id",
      (
        SELECT
          COALESCE(MAX("visit_detail_id"), 0)
        FROM "work"."registry_visit_detail"
      ) + "each"."group_number"
    ) AS "visit_detail_id",
    "each"."person_id",
    "each"."encounter_number"
  FROM (
    SELECT
      ROW_NUMBER() OVER (
        ORDER BY CASE WHEN "registered"."visit_detail_id" IS NULL THEN 0 ELSE 1 END, "stage"."person_id", "stage"."encounter_number"
      ) AS "group_number",
      "registered"."visit_detail_id" AS "known_id",
      "stage"."person_id",
      "stage"."encounter_number"
    FROM "work"."stage_visits" AS "stage"
    LEFT JOIN (
      SELECT
        "stage"."person_id",
        "stage"."encounter_number",
        "registry"."visit_detail_id"
      FROM "work"."stage_visits" AS "stage"
      JOIN "work"."registry_visit_detail" AS "registry"
        ON "registry"."key_1" = "stage"."key_1"
      WHERE
        "stage"."row_fate" = 'written'
    ) AS "registered"
      ON "registered"."person_id" = "stage"."person_id"
      AND "registered"."encounter_number" = "stage"."encounter_number"
    WHERE
      "stage"."row_fate" = 'written'
  ) AS "each"
) AS "numbered";

-- the groups of this run: new ones get next ids
ANALYZE "work"."group_visit_detail";

-- the keys of new groups are remembered
INSERT INTO "work"."registry_visit_detail" (
  "visit_detail_id",
  "key_1"
)
SELECT
  "present"."visit_detail_id",
  "stage"."key_1"
FROM "work"."stage_visits" AS "stage"
JOIN "work"."group_visit_detail" AS "present"
  ON "present"."person_id" = "stage"."person_id"
  AND "present"."encounter_number" = "stage"."encounter_number"
WHERE
  "stage"."row_fate" = 'written'
  AND "present"."visit_detail_id" > (
    SELECT
      COALESCE(MAX("visit_detail_id"), 0)
    FROM "work"."registry_visit_detail"
  );

-- the keys of this run, with the ids of their groups
DROP TABLE IF EXISTS "work"."key_visit_detail";

-- the keys of this run, with the ids of their groups
CREATE TABLE "work"."key_visit_detail" AS
SELECT
  "present"."visit_detail_id",
  "stage"."key_1",
  "visit"."visit_occurrence_id" AS "visit_occurrence_id"
FROM "work"."stage_visits" AS "stage"
JOIN "work"."group_visit_detail" AS "present"
  ON "present"."person_id" = "stage"."person_id"
  AND "present"."encounter_number" = "stage"."encounter_number"
JOIN "work"."group_visit_occurrence" AS "visit"
  ON "visit"."person_id" = "stage"."person_id"
  AND "visit"."visit_number" = "stage"."visit_number"
WHERE
  "stage"."row_fate" = 'written';

-- the keys of this run, with the ids of their groups
ANALYZE "work"."key_visit_detail";

-- write_visit_detail: write cdm.visit_detail from visits

-- cdm.visit_detail becomes the union of its mappings
TRUNCATE TABLE   "cdm"."visit_detail";

-- cdm.visit_detail becomes the union of its mappings
INSERT INTO "cdm"."visit_detail" (
  "visit_detail_id",
  "person_id",
  "visit_detail_concept_id",
  "visit_detail_start_date",
  "visit_detail_start_datetime",
  "visit_detail_end_date",
  "visit_detail_end_datetime",
  "visit_detail_type_concept_id",
  "provider_id",
  "care_site_id",
  "visit_detail_source_value",
  "preceding_visit_detail_id",
  "visit_occurrence_id"
)
SELECT
  "present"."visit_detail_id" AS "visit_detail_id",
  "stage"."person_id" AS "person_id",
  "stage"."concept_id" AS "visit_detail_concept_id",
  "stage"."start_date" AS "visit_detail_start_date",
  "stage"."start_datetime" AS "visit_detail_start_datetime",
  "stage"."end_date" AS "visit_detail_end_date",
  "stage"."end_datetime" AS "visit_detail_end_datetime",
  "stage"."type_concept_id" AS "visit_detail_type_concept_id",
  "stage"."provider_id" AS "provider_id",
  "stage"."care_site_id" AS "care_site_id",
  LEFT("stage"."source_value", 50) AS "visit_detail_source_value",
  "present"."preceding_id" AS "preceding_visit_detail_id",
  "visit"."visit_occurrence_id" AS "visit_occurrence_id"
FROM "work"."stage_visits" AS "stage"
JOIN "work"."group_visit_detail" AS "present"
  ON "present"."person_id" = "stage"."person_id"
  AND "present"."encounter_number" = "stage"."encounter_number"
JOIN "work"."group_visit_occurrence" AS "visit"
  ON "visit"."person_id" = "stage"."person_id"
  AND "visit"."visit_number" = "stage"."visit_number"
WHERE
  "stage"."row_fate" = 'written';

-- cdm.visit_detail becomes the union of its mappings
ANALYZE "cdm"."visit_detail";

-- cdm.visit_detail has rows with the same visit_detail_id
SELECT
  "visit_detail_id",
  COUNT(*) AS "row_count"
FROM "cdm"."visit_detail"
GROUP BY
  "visit_detail_id"
HAVING
  COUNT(*) > 1;
