-- stage_diagnoses: stage the rows of the mapping diagnoses

-- codes of diagnoses and their concepts
DROP TABLE IF EXISTS "work"."codes_diagnoses";

-- codes of diagnoses and their concepts
CREATE TABLE "work"."codes_diagnoses" AS
WITH "used" AS (
  SELECT
    'concept' COLLATE "C" AS "role",
    'SNOMED' COLLATE "C" AS "vocabulary",
    'SNOMED' COLLATE "C" AS "vocabulary_id",
    1 AS "preference",
    CAST(NULL AS TEXT) COLLATE "C" AS "domain_id",
    "e"."code" AS "code",
    COUNT(*) AS "source_rows"
  FROM "source"."events" AS "e"
  WHERE
    NOT "e"."code" IS NULL
  GROUP BY
    "e"."code"
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
    AND "maps_to"."relationship_id" IN ('Maps to', 'Maps to value')
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
      "routed"."role",
      "routed"."vocabulary",
      "routed"."code",
      "routed"."concept_id",
      "routed"."domain_id",
      "mapped_value"."concept_id" AS "value_concept_id"
    FROM (
      SELECT
        "role",
        "vocabulary",
        "preference",
        "code",
        "concept_id",
        "domain_id",
        "origin",
        "holds",
        MAX(CASE WHEN "holds" = 'result' THEN 1 ELSE 0 END) OVER (PARTITION BY "role", "vocabulary", "code") AS "results",
        MAX(CASE WHEN "holds" = 'other' THEN 1 ELSE 0 END) OVER (PARTITION BY "role", "vocabulary", "code") AS "others"
      FROM (
        SELECT
          "role",
          "vocabulary",
          "preference",
          "code",
          "concept_id",
          "domain_id",
          "origin",
          CASE
            WHEN "domain_id" = 'Condition'
            THEN 'none'
            WHEN "domain_id" = 'Drug'
            THEN 'none'
            WHEN "domain_id" = 'Procedure'
            THEN 'none'
            WHEN "domain_id" = 'Measurement'
            THEN 'result'
            WHEN "domain_id" = 'Device'
            THEN 'none'
            WHEN "domain_id" = 'Specimen'
            THEN 'none'
            ELSE 'other'
          END COLLATE "C" AS "holds"
        FROM "best_concept"
      ) AS "target"
    ) AS "routed"
    LEFT JOIN "mapped_concept" AS "mapped_value"
      ON "mapped_value"."role" = "routed"."role"
      AND "mapped_value"."vocabulary" = "routed"."vocabulary"
      AND "mapped_value"."preference" = "routed"."preference"
      AND "mapped_value"."code" = "routed"."code"
      AND "mapped_value"."relationship_id" = 'Maps to value'
      AND "routed"."origin" = 2
      AND (
        CASE
          WHEN "mapped_value"."domain_id" = 'Meas Value'
          THEN "routed"."holds" = 'result'
          OR (
            "routed"."holds" = 'other' AND "routed"."results" = 0
          )
          ELSE "routed"."holds" = 'other'
          OR (
            "routed"."holds" = 'result' AND "routed"."others" = 0
          )
        END
      )
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
  COALESCE("chosen"."fan_out", 1) AS "fan_out",
  CASE
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") IS NULL
    THEN 'condition_occurrence'
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") = 'Condition'
    THEN 'condition_occurrence'
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") = 'Drug'
    THEN 'drug_exposure'
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") = 'Procedure'
    THEN 'procedure_occurrence'
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") = 'Measurement'
    THEN 'measurement'
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") = 'Device'
    THEN 'device_exposure'
    WHEN COALESCE("chosen"."domain_id", "source_concept"."domain_id") = 'Specimen'
    THEN 'specimen'
    ELSE 'observation'
  END COLLATE "C" AS "target_table"
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

-- codes of diagnoses and their concepts
ANALYZE "work"."codes_diagnoses";

-- rows of diagnoses, typed and resolved
DROP TABLE IF EXISTS "work"."stage_diagnoses";

-- rows of diagnoses, typed and resolved
CREATE TABLE "work"."stage_diagnoses" AS
SELECT
  "rows".*,
  CASE WHEN "rows"."row_reason" IS NULL THEN 'written' ELSE 'quarantined' END COLLATE "C" AS "row_fate"
FROM (
  SELECT
    "e"."patient" AS "key_1",
    "e"."code" AS "key_2",
    "e"."start" AS "key_3",
    COALESCE("concept_code"."target_table", 'condition_occurrence') AS "target_table",
    COALESCE("concept_code"."fan_out", 1) AS "fan_out",
    "person_key"."person_id" AS "person_id",
    COALESCE("concept_code"."concept_id", 0) AS "concept_id",
    COALESCE("concept_code"."source_concept_id", 0) AS "source_concept_id",
    "e"."code" AS "source_value",
    32827 AS "type_concept_id",
    CAST("read"."start" AS DATE) AS "start_date",
    "read"."start" AS "start_datetime",
    CAST("read"."stop" AS DATE) AS "end_date",
    CAST(CAST("read"."stop" AS DATE) AS TIMESTAMP) AS "end_datetime",
    "concept_code"."value_concept_id" AS "value_as_concept_id",
    CASE
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
  LEFT JOIN "work"."codes_diagnoses" AS "concept_code"
    ON "concept_code"."role" = 'concept'
    AND "concept_code"."vocabulary" = 'SNOMED'
    AND "concept_code"."code" = "e"."code"
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
      END AS "start",
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
) AS "rows";

-- rows of diagnoses, typed and resolved
ANALYZE "work"."stage_diagnoses";

-- write_condition_occurrence: write cdm.condition_occurrence from diagnoses

-- the rows of ours that are in the table
CREATE TABLE IF NOT EXISTS "work"."key_condition_occurrence" (
  "condition_occurrence_id" BIGINT,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C"
);

-- which rows a full write has made
CREATE TABLE IF NOT EXISTS "work"."full_condition_occurrence" (
  "last_id" BIGINT
);

-- cdm.condition_occurrence was written with `write: full`, which does not remember the keys of its rows; write it once with `write: merge` and `deletes: delete` from the complete source, or empty the table; rows
SELECT
  COUNT(*) AS "row_count"
FROM "cdm"."condition_occurrence"
WHERE
  "condition_occurrence_id" <= (
    SELECT
      MAX("last_id")
    FROM "work"."full_condition_occurrence"
  )
HAVING
  COUNT(*) > 0;

-- keys of before a full write are not those of its rows
DELETE FROM "work"."key_condition_occurrence"
WHERE
  EXISTS(
    SELECT
      1
    FROM "work"."full_condition_occurrence"
    WHERE
      TRUE
  );

-- no rows of a full write are left
DELETE FROM "work"."full_condition_occurrence";

-- rows that others removed are not ours
DELETE FROM "work"."key_condition_occurrence"
WHERE
  NOT "condition_occurrence_id" IN (
    SELECT
      "condition_occurrence_id"
    FROM "cdm"."condition_occurrence"
  );

-- the rows of this run and what tells them apart
DROP TABLE IF EXISTS "work"."rows_condition_occurrence";

-- the rows of this run and what tells them apart
CREATE TABLE "work"."rows_condition_occurrence" AS
SELECT
  "each"."row_mapping",
  "each"."row_key",
  "each"."row_concept",
  ROW_NUMBER() OVER (
    PARTITION BY "each"."row_mapping", "each"."row_key", "each"."row_concept"
    ORDER BY "each"."person_id", "each"."condition_concept_id", "each"."condition_start_date", "each"."condition_start_datetime", "each"."condition_end_date", "each"."condition_end_datetime", "each"."condition_type_concept_id", "each"."condition_status_concept_id", "each"."stop_reason", "each"."provider_id", "each"."visit_occurrence_id", "each"."visit_detail_id", "each"."condition_source_value", "each"."condition_source_concept_id", "each"."condition_status_source_value"
  ) AS "row_occurrence",
  "each"."person_id",
  "each"."condition_concept_id",
  "each"."condition_start_date",
  "each"."condition_start_datetime",
  "each"."condition_end_date",
  "each"."condition_end_datetime",
  "each"."condition_type_concept_id",
  "each"."condition_status_concept_id",
  "each"."stop_reason",
  "each"."provider_id",
  "each"."visit_occurrence_id",
  "each"."visit_detail_id",
  "each"."condition_source_value",
  "each"."condition_source_concept_id",
  "each"."condition_status_source_value"
FROM (
  SELECT
    'diagnoses' COLLATE "C" AS "row_mapping",
    COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key",
    "stage"."concept_id" AS "row_concept",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "condition_concept_id",
    "stage"."start_date" AS "condition_start_date",
    "stage"."start_datetime" AS "condition_start_datetime",
    "stage"."end_date" AS "condition_end_date",
    "stage"."end_datetime" AS "condition_end_datetime",
    "stage"."type_concept_id" AS "condition_type_concept_id",
    CAST(NULL AS INT) AS "condition_status_concept_id",
    CAST(NULL AS VARCHAR(20)) COLLATE "C" AS "stop_reason",
    CAST(NULL AS INT) AS "provider_id",
    CAST(NULL AS INT) AS "visit_occurrence_id",
    CAST(NULL AS INT) AS "visit_detail_id",
    LEFT("stage"."source_value", 50) AS "condition_source_value",
    "stage"."source_concept_id" AS "condition_source_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "condition_status_source_value"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'condition_occurrence'
    AND "stage"."row_fate" = 'written'
) AS "each";

-- the rows of this run and what tells them apart
ANALYZE "work"."rows_condition_occurrence";

-- ids of condition_occurrence: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_condition_occurrence" (
  "condition_occurrence_id" BIGINT NOT NULL,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C",
  "row_concept" BIGINT,
  "row_occurrence" BIGINT
);

-- the natural key of cdm.condition_occurrence has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.condition_occurrence and drop work.registry_condition_occurrence and work.key_condition_occurrence
SELECT
  "condition_occurrence_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
FROM "work"."registry_condition_occurrence"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_condition_occurrence"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_condition_occurrence" (
  "condition_occurrence_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
)
SELECT
  (
    SELECT
      COALESCE(MAX("ids"."condition_occurrence_id"), 0)
    FROM (
      SELECT
        "condition_occurrence_id"
      FROM "work"."registry_condition_occurrence"
      UNION ALL
      SELECT
        "condition_occurrence_id"
      FROM "cdm"."condition_occurrence"
      WHERE
        "condition_occurrence_id" < 9007199254740992
    ) AS "ids"
  ) + "numbered"."key_number",
  "numbered"."row_mapping",
  "numbered"."row_key",
  "numbered"."row_concept",
  "numbered"."row_occurrence"
FROM (
  SELECT
    ROW_NUMBER() OVER (
      ORDER BY "present"."row_mapping", "present"."row_key", "present"."row_concept", "present"."row_occurrence"
    ) AS "key_number",
    "present"."row_mapping",
    "present"."row_key",
    "present"."row_concept",
    "present"."row_occurrence"
  FROM (
    SELECT
      "rows"."row_mapping",
      "rows"."row_key",
      "rows"."row_concept",
      "rows"."row_occurrence"
    FROM "work"."rows_condition_occurrence" AS "rows"
  ) AS "present"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "work"."registry_condition_occurrence" AS "registry"
      WHERE
        "registry"."row_mapping" IS NOT DISTINCT FROM "present"."row_mapping"
        AND "registry"."row_key" IS NOT DISTINCT FROM "present"."row_key"
        AND "registry"."row_concept" IS NOT DISTINCT FROM "present"."row_concept"
        AND "registry"."row_occurrence" IS NOT DISTINCT FROM "present"."row_occurrence"
    )
) AS "numbered";

-- ids of cdm.condition_occurrence reach 2^53, from where on OMOP tools confuse them; remove the rows with such ids, which other programs wrote
SELECT
  MAX("condition_occurrence_id") AS "greatest_id"
FROM "work"."registry_condition_occurrence"
HAVING
  MAX("condition_occurrence_id") >= 9007199254740992;

-- the rows of this run, with their ids
DROP TABLE IF EXISTS "work"."change_condition_occurrence";

-- the rows of this run, with their ids
CREATE TABLE "work"."change_condition_occurrence" AS
SELECT
  "registry"."condition_occurrence_id",
  "rows"."row_mapping",
  "rows"."row_key",
  "rows"."row_concept",
  'written' COLLATE "C" AS "change"
FROM "work"."rows_condition_occurrence" AS "rows"
JOIN "work"."registry_condition_occurrence" AS "registry"
  ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
  AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
  AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
  AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence";

-- the rows of this run, with their ids
ANALYZE "work"."change_condition_occurrence";

-- rows of ours, of keys that the source has, that it makes no longer
INSERT INTO "work"."change_condition_occurrence" (
  "condition_occurrence_id",
  "row_mapping",
  "row_key",
  "change"
)
SELECT
  "old"."condition_occurrence_id",
  "old"."row_mapping",
  "old"."row_key",
  'deleted' COLLATE "C" AS "change"
FROM "work"."key_condition_occurrence" AS "old"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "work"."change_condition_occurrence" AS "made"
    WHERE
      "made"."condition_occurrence_id" = "old"."condition_occurrence_id"
  )
  AND (
    EXISTS(
      SELECT
        1
      FROM (
        SELECT
          'diagnoses' COLLATE "C" AS "row_mapping",
          COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key"
        FROM "work"."stage_diagnoses" AS "stage"
      ) AS "seen"
      WHERE
        "seen"."row_mapping" IS NOT DISTINCT FROM "old"."row_mapping"
        AND "seen"."row_key" IS NOT DISTINCT FROM "old"."row_key"
    )
    OR NOT "old"."row_mapping" IN ('diagnoses')
  );

-- cdm.condition_occurrence has rows that no mapping wrote, under ids of ours; give those rows other ids
SELECT
  "made"."condition_occurrence_id"
FROM "work"."change_condition_occurrence" AS "made"
JOIN "cdm"."condition_occurrence" AS "old"
  ON "old"."condition_occurrence_id" = "made"."condition_occurrence_id"
WHERE
  "made"."change" = 'written'
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."key_condition_occurrence" AS "ours"
    WHERE
      "ours"."condition_occurrence_id" = "made"."condition_occurrence_id"
  );

-- the keys that are in the table after this run
DELETE FROM "work"."key_condition_occurrence"
WHERE
  "condition_occurrence_id" IN (
    SELECT
      "made"."condition_occurrence_id"
    FROM "work"."change_condition_occurrence" AS "made"
    WHERE
      "made"."change" = 'written' OR "made"."change" = 'deleted'
  );

-- the keys that are in the table after this run
INSERT INTO "work"."key_condition_occurrence" (
  "condition_occurrence_id",
  "row_mapping",
  "row_key"
)
SELECT
  "made"."condition_occurrence_id",
  "made"."row_mapping",
  "made"."row_key"
FROM "work"."change_condition_occurrence" AS "made"
WHERE
  "made"."change" = 'written';

-- rows leave cdm.condition_occurrence
DELETE FROM "cdm"."condition_occurrence"
WHERE
  "condition_occurrence_id" IN (
    SELECT
      "made"."condition_occurrence_id"
    FROM "work"."change_condition_occurrence" AS "made"
    WHERE
      "made"."change" = 'deleted'
  );

-- rows of cdm.condition_occurrence that differ are updated, new ones inserted
MERGE INTO "cdm"."condition_occurrence" AS "old"
USING (
  SELECT
    "registry"."condition_occurrence_id",
    "rows"."person_id" AS "person_id",
    "rows"."condition_concept_id" AS "condition_concept_id",
    "rows"."condition_start_date" AS "condition_start_date",
    "rows"."condition_start_datetime" AS "condition_start_datetime",
    "rows"."condition_end_date" AS "condition_end_date",
    "rows"."condition_end_datetime" AS "condition_end_datetime",
    "rows"."condition_type_concept_id" AS "condition_type_concept_id",
    "rows"."condition_status_concept_id" AS "condition_status_concept_id",
    "rows"."stop_reason" AS "stop_reason",
    "rows"."provider_id" AS "provider_id",
    "rows"."visit_occurrence_id" AS "visit_occurrence_id",
    "rows"."visit_detail_id" AS "visit_detail_id",
    "rows"."condition_source_value" AS "condition_source_value",
    "rows"."condition_source_concept_id" AS "condition_source_concept_id",
    "rows"."condition_status_source_value" AS "condition_status_source_value"
  FROM "work"."rows_condition_occurrence" AS "rows"
  JOIN "work"."registry_condition_occurrence" AS "registry"
    ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
    AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
    AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
    AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence"
) AS "new"
ON "old"."condition_occurrence_id" = "new"."condition_occurrence_id"
WHEN MATCHED AND (
  "old"."person_id" IS DISTINCT FROM "new"."person_id"
  OR "old"."condition_concept_id" IS DISTINCT FROM "new"."condition_concept_id"
  OR "old"."condition_start_date" IS DISTINCT FROM "new"."condition_start_date"
  OR "old"."condition_start_datetime" IS DISTINCT FROM "new"."condition_start_datetime"
  OR "old"."condition_end_date" IS DISTINCT FROM "new"."condition_end_date"
  OR "old"."condition_end_datetime" IS DISTINCT FROM "new"."condition_end_datetime"
  OR "old"."condition_type_concept_id" IS DISTINCT FROM "new"."condition_type_concept_id"
  OR "old"."condition_status_concept_id" IS DISTINCT FROM "new"."condition_status_concept_id"
  OR "old"."stop_reason" IS DISTINCT FROM "new"."stop_reason"
  OR "old"."provider_id" IS DISTINCT FROM "new"."provider_id"
  OR "old"."visit_occurrence_id" IS DISTINCT FROM "new"."visit_occurrence_id"
  OR "old"."visit_detail_id" IS DISTINCT FROM "new"."visit_detail_id"
  OR "old"."condition_source_value" IS DISTINCT FROM "new"."condition_source_value"
  OR "old"."condition_source_concept_id" IS DISTINCT FROM "new"."condition_source_concept_id"
  OR "old"."condition_status_source_value" IS DISTINCT FROM "new"."condition_status_source_value"
) THEN UPDATE SET
  "person_id" = "new"."person_id",
  "condition_concept_id" = "new"."condition_concept_id",
  "condition_start_date" = "new"."condition_start_date",
  "condition_start_datetime" = "new"."condition_start_datetime",
  "condition_end_date" = "new"."condition_end_date",
  "condition_end_datetime" = "new"."condition_end_datetime",
  "condition_type_concept_id" = "new"."condition_type_concept_id",
  "condition_status_concept_id" = "new"."condition_status_concept_id",
  "stop_reason" = "new"."stop_reason",
  "provider_id" = "new"."provider_id",
  "visit_occurrence_id" = "new"."visit_occurrence_id",
  "visit_detail_id" = "new"."visit_detail_id",
  "condition_source_value" = "new"."condition_source_value",
  "condition_source_concept_id" = "new"."condition_source_concept_id",
  "condition_status_source_value" = "new"."condition_status_source_value"
WHEN NOT MATCHED THEN INSERT (
  "condition_occurrence_id",
  "person_id",
  "condition_concept_id",
  "condition_start_date",
  "condition_start_datetime",
  "condition_end_date",
  "condition_end_datetime",
  "condition_type_concept_id",
  "condition_status_concept_id",
  "stop_reason",
  "provider_id",
  "visit_occurrence_id",
  "visit_detail_id",
  "condition_source_value",
  "condition_source_concept_id",
  "condition_status_source_value"
) VALUES (
  "new"."condition_occurrence_id",
  "new"."person_id",
  "new"."condition_concept_id",
  "new"."condition_start_date",
  "new"."condition_start_datetime",
  "new"."condition_end_date",
  "new"."condition_end_datetime",
  "new"."condition_type_concept_id",
  "new"."condition_status_concept_id",
  "new"."stop_reason",
  "new"."provider_id",
  "new"."visit_occurrence_id",
  "new"."visit_detail_id",
  "new"."condition_source_value",
  "new"."condition_source_concept_id",
  "new"."condition_status_source_value"
);

-- cdm.condition_occurrence has rows with the same condition_occurrence_id
SELECT
  "condition_occurrence_id",
  COUNT(*) AS "row_count"
FROM "cdm"."condition_occurrence"
GROUP BY
  "condition_occurrence_id"
HAVING
  COUNT(*) > 1;

-- write_procedure_occurrence: write cdm.procedure_occurrence from diagnoses

-- the rows of ours that are in the table
CREATE TABLE IF NOT EXISTS "work"."key_procedure_occurrence" (
  "procedure_occurrence_id" BIGINT,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C"
);

-- which rows a full write has made
CREATE TABLE IF NOT EXISTS "work"."full_procedure_occurrence" (
  "last_id" BIGINT
);

-- cdm.procedure_occurrence was written with `write: full`, which does not remember the keys of its rows; write it once with `write: merge` and `deletes: delete` from the complete source, or empty the table; rows
SELECT
  COUNT(*) AS "row_count"
FROM "cdm"."procedure_occurrence"
WHERE
  "procedure_occurrence_id" <= (
    SELECT
      MAX("last_id")
    FROM "work"."full_procedure_occurrence"
  )
HAVING
  COUNT(*) > 0;

-- keys of before a full write are not those of its rows
DELETE FROM "work"."key_procedure_occurrence"
WHERE
  EXISTS(
    SELECT
      1
    FROM "work"."full_procedure_occurrence"
    WHERE
      TRUE
  );

-- no rows of a full write are left
DELETE FROM "work"."full_procedure_occurrence";

-- rows that others removed are not ours
DELETE FROM "work"."key_procedure_occurrence"
WHERE
  NOT "procedure_occurrence_id" IN (
    SELECT
      "procedure_occurrence_id"
    FROM "cdm"."procedure_occurrence"
  );

-- the rows of this run and what tells them apart
DROP TABLE IF EXISTS "work"."rows_procedure_occurrence";

-- the rows of this run and what tells them apart
CREATE TABLE "work"."rows_procedure_occurrence" AS
SELECT
  "each"."row_mapping",
  "each"."row_key",
  "each"."row_concept",
  ROW_NUMBER() OVER (
    PARTITION BY "each"."row_mapping", "each"."row_key", "each"."row_concept"
    ORDER BY "each"."person_id", "each"."procedure_concept_id", "each"."procedure_date", "each"."procedure_datetime", "each"."procedure_end_date", "each"."procedure_end_datetime", "each"."procedure_type_concept_id", "each"."modifier_concept_id", "each"."quantity", "each"."provider_id", "each"."visit_occurrence_id", "each"."visit_detail_id", "each"."procedure_source_value", "each"."procedure_source_concept_id", "each"."modifier_source_value"
  ) AS "row_occurrence",
  "each"."person_id",
  "each"."procedure_concept_id",
  "each"."procedure_date",
  "each"."procedure_datetime",
  "each"."procedure_end_date",
  "each"."procedure_end_datetime",
  "each"."procedure_type_concept_id",
  "each"."modifier_concept_id",
  "each"."quantity",
  "each"."provider_id",
  "each"."visit_occurrence_id",
  "each"."visit_detail_id",
  "each"."procedure_source_value",
  "each"."procedure_source_concept_id",
  "each"."modifier_source_value"
FROM (
  SELECT
    'diagnoses' COLLATE "C" AS "row_mapping",
    COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key",
    "stage"."concept_id" AS "row_concept",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "procedure_concept_id",
    "stage"."start_date" AS "procedure_date",
    "stage"."start_datetime" AS "procedure_datetime",
    "stage"."end_date" AS "procedure_end_date",
    "stage"."end_datetime" AS "procedure_end_datetime",
    "stage"."type_concept_id" AS "procedure_type_concept_id",
    CAST(NULL AS INT) AS "modifier_concept_id",
    CAST(NULL AS INT) AS "quantity",
    CAST(NULL AS INT) AS "provider_id",
    CAST(NULL AS INT) AS "visit_occurrence_id",
    CAST(NULL AS INT) AS "visit_detail_id",
    LEFT("stage"."source_value", 50) AS "procedure_source_value",
    "stage"."source_concept_id" AS "procedure_source_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "modifier_source_value"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'procedure_occurrence'
    AND "stage"."row_fate" = 'written'
) AS "each";

-- the rows of this run and what tells them apart
ANALYZE "work"."rows_procedure_occurrence";

-- ids of procedure_occurrence: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_procedure_occurrence" (
  "procedure_occurrence_id" BIGINT NOT NULL,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C",
  "row_concept" BIGINT,
  "row_occurrence" BIGINT
);

-- the natural key of cdm.procedure_occurrence has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.procedure_occurrence and drop work.registry_procedure_occurrence and work.key_procedure_occurrence
SELECT
  "procedure_occurrence_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
FROM "work"."registry_procedure_occurrence"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_procedure_occurrence"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_procedure_occurrence" (
  "procedure_occurrence_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
)
SELECT
  (
    SELECT
      COALESCE(MAX("ids"."procedure_occurrence_id"), 0)
    FROM (
      SELECT
        "procedure_occurrence_id"
      FROM "work"."registry_procedure_occurrence"
      UNION ALL
      SELECT
        "procedure_occurrence_id"
      FROM "cdm"."procedure_occurrence"
      WHERE
        "procedure_occurrence_id" < 9007199254740992
    ) AS "ids"
  ) + "numbered"."key_number",
  "numbered"."row_mapping",
  "numbered"."row_key",
  "numbered"."row_concept",
  "numbered"."row_occurrence"
FROM (
  SELECT
    ROW_NUMBER() OVER (
      ORDER BY "present"."row_mapping", "present"."row_key", "present"."row_concept", "present"."row_occurrence"
    ) AS "key_number",
    "present"."row_mapping",
    "present"."row_key",
    "present"."row_concept",
    "present"."row_occurrence"
  FROM (
    SELECT
      "rows"."row_mapping",
      "rows"."row_key",
      "rows"."row_concept",
      "rows"."row_occurrence"
    FROM "work"."rows_procedure_occurrence" AS "rows"
  ) AS "present"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "work"."registry_procedure_occurrence" AS "registry"
      WHERE
        "registry"."row_mapping" IS NOT DISTINCT FROM "present"."row_mapping"
        AND "registry"."row_key" IS NOT DISTINCT FROM "present"."row_key"
        AND "registry"."row_concept" IS NOT DISTINCT FROM "present"."row_concept"
        AND "registry"."row_occurrence" IS NOT DISTINCT FROM "present"."row_occurrence"
    )
) AS "numbered";

-- ids of cdm.procedure_occurrence reach 2^53, from where on OMOP tools confuse them; remove the rows with such ids, which other programs wrote
SELECT
  MAX("procedure_occurrence_id") AS "greatest_id"
FROM "work"."registry_procedure_occurrence"
HAVING
  MAX("procedure_occurrence_id") >= 9007199254740992;

-- the rows of this run, with their ids
DROP TABLE IF EXISTS "work"."change_procedure_occurrence";

-- the rows of this run, with their ids
CREATE TABLE "work"."change_procedure_occurrence" AS
SELECT
  "registry"."procedure_occurrence_id",
  "rows"."row_mapping",
  "rows"."row_key",
  "rows"."row_concept",
  'written' COLLATE "C" AS "change"
FROM "work"."rows_procedure_occurrence" AS "rows"
JOIN "work"."registry_procedure_occurrence" AS "registry"
  ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
  AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
  AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
  AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence";

-- the rows of this run, with their ids
ANALYZE "work"."change_procedure_occurrence";

-- rows of ours, of keys that the source has, that it makes no longer
INSERT INTO "work"."change_procedure_occurrence" (
  "procedure_occurrence_id",
  "row_mapping",
  "row_key",
  "change"
)
SELECT
  "old"."procedure_occurrence_id",
  "old"."row_mapping",
  "old"."row_key",
  'deleted' COLLATE "C" AS "change"
FROM "work"."key_procedure_occurrence" AS "old"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "work"."change_procedure_occurrence" AS "made"
    WHERE
      "made"."procedure_occurrence_id" = "old"."procedure_occurrence_id"
  )
  AND (
    EXISTS(
      SELECT
        1
      FROM (
        SELECT
          'diagnoses' COLLATE "C" AS "row_mapping",
          COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key"
        FROM "work"."stage_diagnoses" AS "stage"
      ) AS "seen"
      WHERE
        "seen"."row_mapping" IS NOT DISTINCT FROM "old"."row_mapping"
        AND "seen"."row_key" IS NOT DISTINCT FROM "old"."row_key"
    )
    OR NOT "old"."row_mapping" IN ('diagnoses')
  );

-- cdm.procedure_occurrence has rows that no mapping wrote, under ids of ours; give those rows other ids
SELECT
  "made"."procedure_occurrence_id"
FROM "work"."change_procedure_occurrence" AS "made"
JOIN "cdm"."procedure_occurrence" AS "old"
  ON "old"."procedure_occurrence_id" = "made"."procedure_occurrence_id"
WHERE
  "made"."change" = 'written'
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."key_procedure_occurrence" AS "ours"
    WHERE
      "ours"."procedure_occurrence_id" = "made"."procedure_occurrence_id"
  );

-- the keys that are in the table after this run
DELETE FROM "work"."key_procedure_occurrence"
WHERE
  "procedure_occurrence_id" IN (
    SELECT
      "made"."procedure_occurrence_id"
    FROM "work"."change_procedure_occurrence" AS "made"
    WHERE
      "made"."change" = 'written' OR "made"."change" = 'deleted'
  );

-- the keys that are in the table after this run
INSERT INTO "work"."key_procedure_occurrence" (
  "procedure_occurrence_id",
  "row_mapping",
  "row_key"
)
SELECT
  "made"."procedure_occurrence_id",
  "made"."row_mapping",
  "made"."row_key"
FROM "work"."change_procedure_occurrence" AS "made"
WHERE
  "made"."change" = 'written';

-- rows leave cdm.procedure_occurrence
DELETE FROM "cdm"."procedure_occurrence"
WHERE
  "procedure_occurrence_id" IN (
    SELECT
      "made"."procedure_occurrence_id"
    FROM "work"."change_procedure_occurrence" AS "made"
    WHERE
      "made"."change" = 'deleted'
  );

-- rows of cdm.procedure_occurrence that differ are updated, new ones inserted
MERGE INTO "cdm"."procedure_occurrence" AS "old"
USING (
  SELECT
    "registry"."procedure_occurrence_id",
    "rows"."person_id" AS "person_id",
    "rows"."procedure_concept_id" AS "procedure_concept_id",
    "rows"."procedure_date" AS "procedure_date",
    "rows"."procedure_datetime" AS "procedure_datetime",
    "rows"."procedure_end_date" AS "procedure_end_date",
    "rows"."procedure_end_datetime" AS "procedure_end_datetime",
    "rows"."procedure_type_concept_id" AS "procedure_type_concept_id",
    "rows"."modifier_concept_id" AS "modifier_concept_id",
    "rows"."quantity" AS "quantity",
    "rows"."provider_id" AS "provider_id",
    "rows"."visit_occurrence_id" AS "visit_occurrence_id",
    "rows"."visit_detail_id" AS "visit_detail_id",
    "rows"."procedure_source_value" AS "procedure_source_value",
    "rows"."procedure_source_concept_id" AS "procedure_source_concept_id",
    "rows"."modifier_source_value" AS "modifier_source_value"
  FROM "work"."rows_procedure_occurrence" AS "rows"
  JOIN "work"."registry_procedure_occurrence" AS "registry"
    ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
    AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
    AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
    AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence"
) AS "new"
ON "old"."procedure_occurrence_id" = "new"."procedure_occurrence_id"
WHEN MATCHED AND (
  "old"."person_id" IS DISTINCT FROM "new"."person_id"
  OR "old"."procedure_concept_id" IS DISTINCT FROM "new"."procedure_concept_id"
  OR "old"."procedure_date" IS DISTINCT FROM "new"."procedure_date"
  OR "old"."procedure_datetime" IS DISTINCT FROM "new"."procedure_datetime"
  OR "old"."procedure_end_date" IS DISTINCT FROM "new"."procedure_end_date"
  OR "old"."procedure_end_datetime" IS DISTINCT FROM "new"."procedure_end_datetime"
  OR "old"."procedure_type_concept_id" IS DISTINCT FROM "new"."procedure_type_concept_id"
  OR "old"."modifier_concept_id" IS DISTINCT FROM "new"."modifier_concept_id"
  OR "old"."quantity" IS DISTINCT FROM "new"."quantity"
  OR "old"."provider_id" IS DISTINCT FROM "new"."provider_id"
  OR "old"."visit_occurrence_id" IS DISTINCT FROM "new"."visit_occurrence_id"
  OR "old"."visit_detail_id" IS DISTINCT FROM "new"."visit_detail_id"
  OR "old"."procedure_source_value" IS DISTINCT FROM "new"."procedure_source_value"
  OR "old"."procedure_source_concept_id" IS DISTINCT FROM "new"."procedure_source_concept_id"
  OR "old"."modifier_source_value" IS DISTINCT FROM "new"."modifier_source_value"
) THEN UPDATE SET
  "person_id" = "new"."person_id",
  "procedure_concept_id" = "new"."procedure_concept_id",
  "procedure_date" = "new"."procedure_date",
  "procedure_datetime" = "new"."procedure_datetime",
  "procedure_end_date" = "new"."procedure_end_date",
  "procedure_end_datetime" = "new"."procedure_end_datetime",
  "procedure_type_concept_id" = "new"."procedure_type_concept_id",
  "modifier_concept_id" = "new"."modifier_concept_id",
  "quantity" = "new"."quantity",
  "provider_id" = "new"."provider_id",
  "visit_occurrence_id" = "new"."visit_occurrence_id",
  "visit_detail_id" = "new"."visit_detail_id",
  "procedure_source_value" = "new"."procedure_source_value",
  "procedure_source_concept_id" = "new"."procedure_source_concept_id",
  "modifier_source_value" = "new"."modifier_source_value"
WHEN NOT MATCHED THEN INSERT (
  "procedure_occurrence_id",
  "person_id",
  "procedure_concept_id",
  "procedure_date",
  "procedure_datetime",
  "procedure_end_date",
  "procedure_end_datetime",
  "procedure_type_concept_id",
  "modifier_concept_id",
  "quantity",
  "provider_id",
  "visit_occurrence_id",
  "visit_detail_id",
  "procedure_source_value",
  "procedure_source_concept_id",
  "modifier_source_value"
) VALUES (
  "new"."procedure_occurrence_id",
  "new"."person_id",
  "new"."procedure_concept_id",
  "new"."procedure_date",
  "new"."procedure_datetime",
  "new"."procedure_end_date",
  "new"."procedure_end_datetime",
  "new"."procedure_type_concept_id",
  "new"."modifier_concept_id",
  "new"."quantity",
  "new"."provider_id",
  "new"."visit_occurrence_id",
  "new"."visit_detail_id",
  "new"."procedure_source_value",
  "new"."procedure_source_concept_id",
  "new"."modifier_source_value"
);

-- cdm.procedure_occurrence has rows with the same procedure_occurrence_id
SELECT
  "procedure_occurrence_id",
  COUNT(*) AS "row_count"
FROM "cdm"."procedure_occurrence"
GROUP BY
  "procedure_occurrence_id"
HAVING
  COUNT(*) > 1;

-- write_measurement: write cdm.measurement from diagnoses

-- the rows of ours that are in the table
CREATE TABLE IF NOT EXISTS "work"."key_measurement" (
  "measurement_id" BIGINT,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C"
);

-- which rows a full write has made
CREATE TABLE IF NOT EXISTS "work"."full_measurement" (
  "last_id" BIGINT
);

-- cdm.measurement was written with `write: full`, which does not remember the keys of its rows; write it once with `write: merge` and `deletes: delete` from the complete source, or empty the table; rows
SELECT
  COUNT(*) AS "row_count"
FROM "cdm"."measurement"
WHERE
  "measurement_id" <= (
    SELECT
      MAX("last_id")
    FROM "work"."full_measurement"
  )
HAVING
  COUNT(*) > 0;

-- keys of before a full write are not those of its rows
DELETE FROM "work"."key_measurement"
WHERE
  EXISTS(
    SELECT
      1
    FROM "work"."full_measurement"
    WHERE
      TRUE
  );

-- no rows of a full write are left
DELETE FROM "work"."full_measurement";

-- rows that others removed are not ours
DELETE FROM "work"."key_measurement"
WHERE
  NOT "measurement_id" IN (
    SELECT
      "measurement_id"
    FROM "cdm"."measurement"
  );

-- the rows of this run and what tells them apart
DROP TABLE IF EXISTS "work"."rows_measurement";

-- the rows of this run and what tells them apart
CREATE TABLE "work"."rows_measurement" AS
SELECT
  "each"."row_mapping",
  "each"."row_key",
  "each"."row_concept",
  ROW_NUMBER() OVER (
    PARTITION BY "each"."row_mapping", "each"."row_key", "each"."row_concept"
    ORDER BY "each"."person_id", "each"."measurement_concept_id", "each"."measurement_date", "each"."measurement_datetime", "each"."measurement_time", "each"."measurement_type_concept_id", "each"."operator_concept_id", "each"."value_as_number", "each"."value_as_concept_id", "each"."unit_concept_id", "each"."range_low", "each"."range_high", "each"."provider_id", "each"."visit_occurrence_id", "each"."visit_detail_id", "each"."measurement_source_value", "each"."measurement_source_concept_id", "each"."unit_source_value", "each"."unit_source_concept_id", "each"."value_source_value", "each"."measurement_event_id", "each"."meas_event_field_concept_id"
  ) AS "row_occurrence",
  "each"."person_id",
  "each"."measurement_concept_id",
  "each"."measurement_date",
  "each"."measurement_datetime",
  "each"."measurement_time",
  "each"."measurement_type_concept_id",
  "each"."operator_concept_id",
  "each"."value_as_number",
  "each"."value_as_concept_id",
  "each"."unit_concept_id",
  "each"."range_low",
  "each"."range_high",
  "each"."provider_id",
  "each"."visit_occurrence_id",
  "each"."visit_detail_id",
  "each"."measurement_source_value",
  "each"."measurement_source_concept_id",
  "each"."unit_source_value",
  "each"."unit_source_concept_id",
  "each"."value_source_value",
  "each"."measurement_event_id",
  "each"."meas_event_field_concept_id"
FROM (
  SELECT
    'diagnoses' COLLATE "C" AS "row_mapping",
    COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key",
    "stage"."concept_id" AS "row_concept",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "measurement_concept_id",
    "stage"."start_date" AS "measurement_date",
    "stage"."start_datetime" AS "measurement_datetime",
    CAST(NULL AS VARCHAR(10)) COLLATE "C" AS "measurement_time",
    "stage"."type_concept_id" AS "measurement_type_concept_id",
    CAST(NULL AS INT) AS "operator_concept_id",
    CAST(NULL AS DOUBLE PRECISION) AS "value_as_number",
    "stage"."value_as_concept_id" AS "value_as_concept_id",
    CAST(NULL AS INT) AS "unit_concept_id",
    CAST(NULL AS DOUBLE PRECISION) AS "range_low",
    CAST(NULL AS DOUBLE PRECISION) AS "range_high",
    CAST(NULL AS INT) AS "provider_id",
    CAST(NULL AS INT) AS "visit_occurrence_id",
    CAST(NULL AS INT) AS "visit_detail_id",
    LEFT("stage"."source_value", 50) AS "measurement_source_value",
    "stage"."source_concept_id" AS "measurement_source_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "unit_source_value",
    CAST(NULL AS INT) AS "unit_source_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "value_source_value",
    CAST(NULL AS INT) AS "measurement_event_id",
    CAST(NULL AS INT) AS "meas_event_field_concept_id"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'measurement' AND "stage"."row_fate" = 'written'
) AS "each";

-- the rows of this run and what tells them apart
ANALYZE "work"."rows_measurement";

-- ids of measurement: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_measurement" (
  "measurement_id" BIGINT NOT NULL,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C",
  "row_concept" BIGINT,
  "row_occurrence" BIGINT
);

-- the natural key of cdm.measurement has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.measurement and drop work.registry_measurement and work.key_measurement
SELECT
  "measurement_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
FROM "work"."registry_measurement"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_measurement"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_measurement" (
  "measurement_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
)
SELECT
  (
    SELECT
      COALESCE(MAX("ids"."measurement_id"), 0)
    FROM (
      SELECT
        "measurement_id"
      FROM "work"."registry_measurement"
      UNION ALL
      SELECT
        "measurement_id"
      FROM "cdm"."measurement"
      WHERE
        "measurement_id" < 9007199254740992
    ) AS "ids"
  ) + "numbered"."key_number",
  "numbered"."row_mapping",
  "numbered"."row_key",
  "numbered"."row_concept",
  "numbered"."row_occurrence"
FROM (
  SELECT
    ROW_NUMBER() OVER (
      ORDER BY "present"."row_mapping", "present"."row_key", "present"."row_concept", "present"."row_occurrence"
    ) AS "key_number",
    "present"."row_mapping",
    "present"."row_key",
    "present"."row_concept",
    "present"."row_occurrence"
  FROM (
    SELECT
      "rows"."row_mapping",
      "rows"."row_key",
      "rows"."row_concept",
      "rows"."row_occurrence"
    FROM "work"."rows_measurement" AS "rows"
  ) AS "present"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "work"."registry_measurement" AS "registry"
      WHERE
        "registry"."row_mapping" IS NOT DISTINCT FROM "present"."row_mapping"
        AND "registry"."row_key" IS NOT DISTINCT FROM "present"."row_key"
        AND "registry"."row_concept" IS NOT DISTINCT FROM "present"."row_concept"
        AND "registry"."row_occurrence" IS NOT DISTINCT FROM "present"."row_occurrence"
    )
) AS "numbered";

-- ids of cdm.measurement reach 2^53, from where on OMOP tools confuse them; remove the rows with such ids, which other programs wrote
SELECT
  MAX("measurement_id") AS "greatest_id"
FROM "work"."registry_measurement"
HAVING
  MAX("measurement_id") >= 9007199254740992;

-- the rows of this run, with their ids
DROP TABLE IF EXISTS "work"."change_measurement";

-- the rows of this run, with their ids
CREATE TABLE "work"."change_measurement" AS
SELECT
  "registry"."measurement_id",
  "rows"."row_mapping",
  "rows"."row_key",
  "rows"."row_concept",
  'written' COLLATE "C" AS "change"
FROM "work"."rows_measurement" AS "rows"
JOIN "work"."registry_measurement" AS "registry"
  ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
  AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
  AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
  AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence";

-- the rows of this run, with their ids
ANALYZE "work"."change_measurement";

-- rows of ours, of keys that the source has, that it makes no longer
INSERT INTO "work"."change_measurement" (
  "measurement_id",
  "row_mapping",
  "row_key",
  "change"
)
SELECT
  "old"."measurement_id",
  "old"."row_mapping",
  "old"."row_key",
  'deleted' COLLATE "C" AS "change"
FROM "work"."key_measurement" AS "old"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "work"."change_measurement" AS "made"
    WHERE
      "made"."measurement_id" = "old"."measurement_id"
  )
  AND (
    EXISTS(
      SELECT
        1
      FROM (
        SELECT
          'diagnoses' COLLATE "C" AS "row_mapping",
          COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key"
        FROM "work"."stage_diagnoses" AS "stage"
      ) AS "seen"
      WHERE
        "seen"."row_mapping" IS NOT DISTINCT FROM "old"."row_mapping"
        AND "seen"."row_key" IS NOT DISTINCT FROM "old"."row_key"
    )
    OR NOT "old"."row_mapping" IN ('diagnoses')
  );

-- cdm.measurement has rows that no mapping wrote, under ids of ours; give those rows other ids
SELECT
  "made"."measurement_id"
FROM "work"."change_measurement" AS "made"
JOIN "cdm"."measurement" AS "old"
  ON "old"."measurement_id" = "made"."measurement_id"
WHERE
  "made"."change" = 'written'
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."key_measurement" AS "ours"
    WHERE
      "ours"."measurement_id" = "made"."measurement_id"
  );

-- the keys that are in the table after this run
DELETE FROM "work"."key_measurement"
WHERE
  "measurement_id" IN (
    SELECT
      "made"."measurement_id"
    FROM "work"."change_measurement" AS "made"
    WHERE
      "made"."change" = 'written' OR "made"."change" = 'deleted'
  );

-- the keys that are in the table after this run
INSERT INTO "work"."key_measurement" (
  "measurement_id",
  "row_mapping",
  "row_key"
)
SELECT
  "made"."measurement_id",
  "made"."row_mapping",
  "made"."row_key"
FROM "work"."change_measurement" AS "made"
WHERE
  "made"."change" = 'written';

-- rows leave cdm.measurement
DELETE FROM "cdm"."measurement"
WHERE
  "measurement_id" IN (
    SELECT
      "made"."measurement_id"
    FROM "work"."change_measurement" AS "made"
    WHERE
      "made"."change" = 'deleted'
  );

-- rows of cdm.measurement that differ are updated, new ones inserted
MERGE INTO "cdm"."measurement" AS "old"
USING (
  SELECT
    "registry"."measurement_id",
    "rows"."person_id" AS "person_id",
    "rows"."measurement_concept_id" AS "measurement_concept_id",
    "rows"."measurement_date" AS "measurement_date",
    "rows"."measurement_datetime" AS "measurement_datetime",
    "rows"."measurement_time" AS "measurement_time",
    "rows"."measurement_type_concept_id" AS "measurement_type_concept_id",
    "rows"."operator_concept_id" AS "operator_concept_id",
    "rows"."value_as_number" AS "value_as_number",
    "rows"."value_as_concept_id" AS "value_as_concept_id",
    "rows"."unit_concept_id" AS "unit_concept_id",
    "rows"."range_low" AS "range_low",
    "rows"."range_high" AS "range_high",
    "rows"."provider_id" AS "provider_id",
    "rows"."visit_occurrence_id" AS "visit_occurrence_id",
    "rows"."visit_detail_id" AS "visit_detail_id",
    "rows"."measurement_source_value" AS "measurement_source_value",
    "rows"."measurement_source_concept_id" AS "measurement_source_concept_id",
    "rows"."unit_source_value" AS "unit_source_value",
    "rows"."unit_source_concept_id" AS "unit_source_concept_id",
    "rows"."value_source_value" AS "value_source_value",
    "rows"."measurement_event_id" AS "measurement_event_id",
    "rows"."meas_event_field_concept_id" AS "meas_event_field_concept_id"
  FROM "work"."rows_measurement" AS "rows"
  JOIN "work"."registry_measurement" AS "registry"
    ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
    AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
    AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
    AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence"
) AS "new"
ON "old"."measurement_id" = "new"."measurement_id"
WHEN MATCHED AND (
  "old"."person_id" IS DISTINCT FROM "new"."person_id"
  OR "old"."measurement_concept_id" IS DISTINCT FROM "new"."measurement_concept_id"
  OR "old"."measurement_date" IS DISTINCT FROM "new"."measurement_date"
  OR "old"."measurement_datetime" IS DISTINCT FROM "new"."measurement_datetime"
  OR "old"."measurement_time" IS DISTINCT FROM "new"."measurement_time"
  OR "old"."measurement_type_concept_id" IS DISTINCT FROM "new"."measurement_type_concept_id"
  OR "old"."operator_concept_id" IS DISTINCT FROM "new"."operator_concept_id"
  OR "old"."value_as_number" IS DISTINCT FROM "new"."value_as_number"
  OR "old"."value_as_concept_id" IS DISTINCT FROM "new"."value_as_concept_id"
  OR "old"."unit_concept_id" IS DISTINCT FROM "new"."unit_concept_id"
  OR "old"."range_low" IS DISTINCT FROM "new"."range_low"
  OR "old"."range_high" IS DISTINCT FROM "new"."range_high"
  OR "old"."provider_id" IS DISTINCT FROM "new"."provider_id"
  OR "old"."visit_occurrence_id" IS DISTINCT FROM "new"."visit_occurrence_id"
  OR "old"."visit_detail_id" IS DISTINCT FROM "new"."visit_detail_id"
  OR "old"."measurement_source_value" IS DISTINCT FROM "new"."measurement_source_value"
  OR "old"."measurement_source_concept_id" IS DISTINCT FROM "new"."measurement_source_concept_id"
  OR "old"."unit_source_value" IS DISTINCT FROM "new"."unit_source_value"
  OR "old"."unit_source_concept_id" IS DISTINCT FROM "new"."unit_source_concept_id"
  OR "old"."value_source_value" IS DISTINCT FROM "new"."value_source_value"
  OR "old"."measurement_event_id" IS DISTINCT FROM "new"."measurement_event_id"
  OR "old"."meas_event_field_concept_id" IS DISTINCT FROM "new"."meas_event_field_concept_id"
) THEN UPDATE SET
  "person_id" = "new"."person_id",
  "measurement_concept_id" = "new"."measurement_concept_id",
  "measurement_date" = "new"."measurement_date",
  "measurement_datetime" = "new"."measurement_datetime",
  "measurement_time" = "new"."measurement_time",
  "measurement_type_concept_id" = "new"."measurement_type_concept_id",
  "operator_concept_id" = "new"."operator_concept_id",
  "value_as_number" = "new"."value_as_number",
  "value_as_concept_id" = "new"."value_as_concept_id",
  "unit_concept_id" = "new"."unit_concept_id",
  "range_low" = "new"."range_low",
  "range_high" = "new"."range_high",
  "provider_id" = "new"."provider_id",
  "visit_occurrence_id" = "new"."visit_occurrence_id",
  "visit_detail_id" = "new"."visit_detail_id",
  "measurement_source_value" = "new"."measurement_source_value",
  "measurement_source_concept_id" = "new"."measurement_source_concept_id",
  "unit_source_value" = "new"."unit_source_value",
  "unit_source_concept_id" = "new"."unit_source_concept_id",
  "value_source_value" = "new"."value_source_value",
  "measurement_event_id" = "new"."measurement_event_id",
  "meas_event_field_concept_id" = "new"."meas_event_field_concept_id"
WHEN NOT MATCHED THEN INSERT (
  "measurement_id",
  "person_id",
  "measurement_concept_id",
  "measurement_date",
  "measurement_datetime",
  "measurement_time",
  "measurement_type_concept_id",
  "operator_concept_id",
  "value_as_number",
  "value_as_concept_id",
  "unit_concept_id",
  "range_low",
  "range_high",
  "provider_id",
  "visit_occurrence_id",
  "visit_detail_id",
  "measurement_source_value",
  "measurement_source_concept_id",
  "unit_source_value",
  "unit_source_concept_id",
  "value_source_value",
  "measurement_event_id",
  "meas_event_field_concept_id"
) VALUES (
  "new"."measurement_id",
  "new"."person_id",
  "new"."measurement_concept_id",
  "new"."measurement_date",
  "new"."measurement_datetime",
  "new"."measurement_time",
  "new"."measurement_type_concept_id",
  "new"."operator_concept_id",
  "new"."value_as_number",
  "new"."value_as_concept_id",
  "new"."unit_concept_id",
  "new"."range_low",
  "new"."range_high",
  "new"."provider_id",
  "new"."visit_occurrence_id",
  "new"."visit_detail_id",
  "new"."measurement_source_value",
  "new"."measurement_source_concept_id",
  "new"."unit_source_value",
  "new"."unit_source_concept_id",
  "new"."value_source_value",
  "new"."measurement_event_id",
  "new"."meas_event_field_concept_id"
);

-- cdm.measurement has rows with the same measurement_id
SELECT
  "measurement_id",
  COUNT(*) AS "row_count"
FROM "cdm"."measurement"
GROUP BY
  "measurement_id"
HAVING
  COUNT(*) > 1;

-- write_observation: write cdm.observation from diagnoses

-- the rows of ours that are in the table
CREATE TABLE IF NOT EXISTS "work"."key_observation" (
  "observation_id" BIGINT,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C"
);

-- which rows a full write has made
CREATE TABLE IF NOT EXISTS "work"."full_observation" (
  "last_id" BIGINT
);

-- cdm.observation was written with `write: full`, which does not remember the keys of its rows; write it once with `write: merge` and `deletes: delete` from the complete source, or empty the table; rows
SELECT
  COUNT(*) AS "row_count"
FROM "cdm"."observation"
WHERE
  "observation_id" <= (
    SELECT
      MAX("last_id")
    FROM "work"."full_observation"
  )
HAVING
  COUNT(*) > 0;

-- keys of before a full write are not those of its rows
DELETE FROM "work"."key_observation"
WHERE
  EXISTS(
    SELECT
      1
    FROM "work"."full_observation"
    WHERE
      TRUE
  );

-- no rows of a full write are left
DELETE FROM "work"."full_observation";

-- rows that others removed are not ours
DELETE FROM "work"."key_observation"
WHERE
  NOT "observation_id" IN (
    SELECT
      "observation_id"
    FROM "cdm"."observation"
  );

-- the rows of this run and what tells them apart
DROP TABLE IF EXISTS "work"."rows_observation";

-- the rows of this run and what tells them apart
CREATE TABLE "work"."rows_observation" AS
SELECT
  "each"."row_mapping",
  "each"."row_key",
  "each"."row_concept",
  ROW_NUMBER() OVER (
    PARTITION BY "each"."row_mapping", "each"."row_key", "each"."row_concept"
    ORDER BY "each"."person_id", "each"."observation_concept_id", "each"."observation_date", "each"."observation_datetime", "each"."observation_type_concept_id", "each"."value_as_number", "each"."value_as_string", "each"."value_as_concept_id", "each"."qualifier_concept_id", "each"."unit_concept_id", "each"."provider_id", "each"."visit_occurrence_id", "each"."visit_detail_id", "each"."observation_source_value", "each"."observation_source_concept_id", "each"."unit_source_value", "each"."qualifier_source_value", "each"."value_source_value", "each"."observation_event_id", "each"."obs_event_field_concept_id"
  ) AS "row_occurrence",
  "each"."person_id",
  "each"."observation_concept_id",
  "each"."observation_date",
  "each"."observation_datetime",
  "each"."observation_type_concept_id",
  "each"."value_as_number",
  "each"."value_as_string",
  "each"."value_as_concept_id",
  "each"."qualifier_concept_id",
  "each"."unit_concept_id",
  "each"."provider_id",
  "each"."visit_occurrence_id",
  "each"."visit_detail_id",
  "each"."observation_source_value",
  "each"."observation_source_concept_id",
  "each"."unit_source_value",
  "each"."qualifier_source_value",
  "each"."value_source_value",
  "each"."observation_event_id",
  "each"."obs_event_field_concept_id"
FROM (
  SELECT
    'diagnoses' COLLATE "C" AS "row_mapping",
    COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key",
    "stage"."concept_id" AS "row_concept",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "observation_concept_id",
    "stage"."start_date" AS "observation_date",
    "stage"."start_datetime" AS "observation_datetime",
    "stage"."type_concept_id" AS "observation_type_concept_id",
    CAST(NULL AS DOUBLE PRECISION) AS "value_as_number",
    CAST(NULL AS VARCHAR(60)) COLLATE "C" AS "value_as_string",
    "stage"."value_as_concept_id" AS "value_as_concept_id",
    CAST(NULL AS INT) AS "qualifier_concept_id",
    CAST(NULL AS INT) AS "unit_concept_id",
    CAST(NULL AS INT) AS "provider_id",
    CAST(NULL AS INT) AS "visit_occurrence_id",
    CAST(NULL AS INT) AS "visit_detail_id",
    LEFT("stage"."source_value", 50) AS "observation_source_value",
    "stage"."source_concept_id" AS "observation_source_concept_id",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "unit_source_value",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "qualifier_source_value",
    CAST(NULL AS VARCHAR(50)) COLLATE "C" AS "value_source_value",
    CAST(NULL AS INT) AS "observation_event_id",
    CAST(NULL AS INT) AS "obs_event_field_concept_id"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'observation' AND "stage"."row_fate" = 'written'
) AS "each";

-- the rows of this run and what tells them apart
ANALYZE "work"."rows_observation";

-- ids of observation: a registry that only grows
CREATE TABLE IF NOT EXISTS "work"."registry_observation" (
  "observation_id" BIGINT NOT NULL,
  "row_mapping" TEXT COLLATE "C",
  "row_key" TEXT COLLATE "C",
  "row_concept" BIGINT,
  "row_occurrence" BIGINT
);

-- the natural key of cdm.observation has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.observation and drop work.registry_observation and work.key_observation
SELECT
  "observation_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
FROM "work"."registry_observation"
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM "work"."registry_observation"
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO "work"."registry_observation" (
  "observation_id",
  "row_mapping",
  "row_key",
  "row_concept",
  "row_occurrence"
)
SELECT
  (
    SELECT
      COALESCE(MAX("ids"."observation_id"), 0)
    FROM (
      SELECT
        "observation_id"
      FROM "work"."registry_observation"
      UNION ALL
      SELECT
        "observation_id"
      FROM "cdm"."observation"
      WHERE
        "observation_id" < 9007199254740992
    ) AS "ids"
  ) + "numbered"."key_number",
  "numbered"."row_mapping",
  "numbered"."row_key",
  "numbered"."row_concept",
  "numbered"."row_occurrence"
FROM (
  SELECT
    ROW_NUMBER() OVER (
      ORDER BY "present"."row_mapping", "present"."row_key", "present"."row_concept", "present"."row_occurrence"
    ) AS "key_number",
    "present"."row_mapping",
    "present"."row_key",
    "present"."row_concept",
    "present"."row_occurrence"
  FROM (
    SELECT
      "rows"."row_mapping",
      "rows"."row_key",
      "rows"."row_concept",
      "rows"."row_occurrence"
    FROM "work"."rows_observation" AS "rows"
  ) AS "present"
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM "work"."registry_observation" AS "registry"
      WHERE
        "registry"."row_mapping" IS NOT DISTINCT FROM "present"."row_mapping"
        AND "registry"."row_key" IS NOT DISTINCT FROM "present"."row_key"
        AND "registry"."row_concept" IS NOT DISTINCT FROM "present"."row_concept"
        AND "registry"."row_occurrence" IS NOT DISTINCT FROM "present"."row_occurrence"
    )
) AS "numbered";

-- ids of cdm.observation reach 2^53, from where on OMOP tools confuse them; remove the rows with such ids, which other programs wrote
SELECT
  MAX("observation_id") AS "greatest_id"
FROM "work"."registry_observation"
HAVING
  MAX("observation_id") >= 9007199254740992;

-- the rows of this run, with their ids
DROP TABLE IF EXISTS "work"."change_observation";

-- the rows of this run, with their ids
CREATE TABLE "work"."change_observation" AS
SELECT
  "registry"."observation_id",
  "rows"."row_mapping",
  "rows"."row_key",
  "rows"."row_concept",
  'written' COLLATE "C" AS "change"
FROM "work"."rows_observation" AS "rows"
JOIN "work"."registry_observation" AS "registry"
  ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
  AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
  AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
  AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence";

-- the rows of this run, with their ids
ANALYZE "work"."change_observation";

-- rows of ours, of keys that the source has, that it makes no longer
INSERT INTO "work"."change_observation" (
  "observation_id",
  "row_mapping",
  "row_key",
  "change"
)
SELECT
  "old"."observation_id",
  "old"."row_mapping",
  "old"."row_key",
  'deleted' COLLATE "C" AS "change"
FROM "work"."key_observation" AS "old"
WHERE
  NOT EXISTS(
    SELECT
      1
    FROM "work"."change_observation" AS "made"
    WHERE
      "made"."observation_id" = "old"."observation_id"
  )
  AND (
    EXISTS(
      SELECT
        1
      FROM (
        SELECT
          'diagnoses' COLLATE "C" AS "row_mapping",
          COALESCE(REPLACE(REPLACE("stage"."key_1", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_2", '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE("stage"."key_3", '~', '~~'), '|', '~|'), '~N') AS "row_key"
        FROM "work"."stage_diagnoses" AS "stage"
      ) AS "seen"
      WHERE
        "seen"."row_mapping" IS NOT DISTINCT FROM "old"."row_mapping"
        AND "seen"."row_key" IS NOT DISTINCT FROM "old"."row_key"
    )
    OR NOT "old"."row_mapping" IN ('diagnoses')
  );

-- cdm.observation has rows that no mapping wrote, under ids of ours; give those rows other ids
SELECT
  "made"."observation_id"
FROM "work"."change_observation" AS "made"
JOIN "cdm"."observation" AS "old"
  ON "old"."observation_id" = "made"."observation_id"
WHERE
  "made"."change" = 'written'
  AND NOT EXISTS(
    SELECT
      1
    FROM "work"."key_observation" AS "ours"
    WHERE
      "ours"."observation_id" = "made"."observation_id"
  );

-- the keys that are in the table after this run
DELETE FROM "work"."key_observation"
WHERE
  "observation_id" IN (
    SELECT
      "made"."observation_id"
    FROM "work"."change_observation" AS "made"
    WHERE
      "made"."change" = 'written' OR "made"."change" = 'deleted'
  );

-- the keys that are in the table after this run
INSERT INTO "work"."key_observation" (
  "observation_id",
  "row_mapping",
  "row_key"
)
SELECT
  "made"."observation_id",
  "made"."row_mapping",
  "made"."row_key"
FROM "work"."change_observation" AS "made"
WHERE
  "made"."change" = 'written';

-- rows leave cdm.observation
DELETE FROM "cdm"."observation"
WHERE
  "observation_id" IN (
    SELECT
      "made"."observation_id"
    FROM "work"."change_observation" AS "made"
    WHERE
      "made"."change" = 'deleted'
  );

-- rows of cdm.observation that differ are updated, new ones inserted
MERGE INTO "cdm"."observation" AS "old"
USING (
  SELECT
    "registry"."observation_id",
    "rows"."person_id" AS "person_id",
    "rows"."observation_concept_id" AS "observation_concept_id",
    "rows"."observation_date" AS "observation_date",
    "rows"."observation_datetime" AS "observation_datetime",
    "rows"."observation_type_concept_id" AS "observation_type_concept_id",
    "rows"."value_as_number" AS "value_as_number",
    "rows"."value_as_string" AS "value_as_string",
    "rows"."value_as_concept_id" AS "value_as_concept_id",
    "rows"."qualifier_concept_id" AS "qualifier_concept_id",
    "rows"."unit_concept_id" AS "unit_concept_id",
    "rows"."provider_id" AS "provider_id",
    "rows"."visit_occurrence_id" AS "visit_occurrence_id",
    "rows"."visit_detail_id" AS "visit_detail_id",
    "rows"."observation_source_value" AS "observation_source_value",
    "rows"."observation_source_concept_id" AS "observation_source_concept_id",
    "rows"."unit_source_value" AS "unit_source_value",
    "rows"."qualifier_source_value" AS "qualifier_source_value",
    "rows"."value_source_value" AS "value_source_value",
    "rows"."observation_event_id" AS "observation_event_id",
    "rows"."obs_event_field_concept_id" AS "obs_event_field_concept_id"
  FROM "work"."rows_observation" AS "rows"
  JOIN "work"."registry_observation" AS "registry"
    ON "registry"."row_mapping" IS NOT DISTINCT FROM "rows"."row_mapping"
    AND "registry"."row_key" IS NOT DISTINCT FROM "rows"."row_key"
    AND "registry"."row_concept" IS NOT DISTINCT FROM "rows"."row_concept"
    AND "registry"."row_occurrence" IS NOT DISTINCT FROM "rows"."row_occurrence"
) AS "new"
ON "old"."observation_id" = "new"."observation_id"
WHEN MATCHED AND (
  "old"."person_id" IS DISTINCT FROM "new"."person_id"
  OR "old"."observation_concept_id" IS DISTINCT FROM "new"."observation_concept_id"
  OR "old"."observation_date" IS DISTINCT FROM "new"."observation_date"
  OR "old"."observation_datetime" IS DISTINCT FROM "new"."observation_datetime"
  OR "old"."observation_type_concept_id" IS DISTINCT FROM "new"."observation_type_concept_id"
  OR "old"."value_as_number" IS DISTINCT FROM "new"."value_as_number"
  OR "old"."value_as_string" IS DISTINCT FROM "new"."value_as_string"
  OR "old"."value_as_concept_id" IS DISTINCT FROM "new"."value_as_concept_id"
  OR "old"."qualifier_concept_id" IS DISTINCT FROM "new"."qualifier_concept_id"
  OR "old"."unit_concept_id" IS DISTINCT FROM "new"."unit_concept_id"
  OR "old"."provider_id" IS DISTINCT FROM "new"."provider_id"
  OR "old"."visit_occurrence_id" IS DISTINCT FROM "new"."visit_occurrence_id"
  OR "old"."visit_detail_id" IS DISTINCT FROM "new"."visit_detail_id"
  OR "old"."observation_source_value" IS DISTINCT FROM "new"."observation_source_value"
  OR "old"."observation_source_concept_id" IS DISTINCT FROM "new"."observation_source_concept_id"
  OR "old"."unit_source_value" IS DISTINCT FROM "new"."unit_source_value"
  OR "old"."qualifier_source_value" IS DISTINCT FROM "new"."qualifier_source_value"
  OR "old"."value_source_value" IS DISTINCT FROM "new"."value_source_value"
  OR "old"."observation_event_id" IS DISTINCT FROM "new"."observation_event_id"
  OR "old"."obs_event_field_concept_id" IS DISTINCT FROM "new"."obs_event_field_concept_id"
) THEN UPDATE SET
  "person_id" = "new"."person_id",
  "observation_concept_id" = "new"."observation_concept_id",
  "observation_date" = "new"."observation_date",
  "observation_datetime" = "new"."observation_datetime",
  "observation_type_concept_id" = "new"."observation_type_concept_id",
  "value_as_number" = "new"."value_as_number",
  "value_as_string" = "new"."value_as_string",
  "value_as_concept_id" = "new"."value_as_concept_id",
  "qualifier_concept_id" = "new"."qualifier_concept_id",
  "unit_concept_id" = "new"."unit_concept_id",
  "provider_id" = "new"."provider_id",
  "visit_occurrence_id" = "new"."visit_occurrence_id",
  "visit_detail_id" = "new"."visit_detail_id",
  "observation_source_value" = "new"."observation_source_value",
  "observation_source_concept_id" = "new"."observation_source_concept_id",
  "unit_source_value" = "new"."unit_source_value",
  "qualifier_source_value" = "new"."qualifier_source_value",
  "value_source_value" = "new"."value_source_value",
  "observation_event_id" = "new"."observation_event_id",
  "obs_event_field_concept_id" = "new"."obs_event_field_concept_id"
WHEN NOT MATCHED THEN INSERT (
  "observation_id",
  "person_id",
  "observation_concept_id",
  "observation_date",
  "observation_datetime",
  "observation_type_concept_id",
  "value_as_number",
  "value_as_string",
  "value_as_concept_id",
  "qualifier_concept_id",
  "unit_concept_id",
  "provider_id",
  "visit_occurrence_id",
  "visit_detail_id",
  "observation_source_value",
  "observation_source_concept_id",
  "unit_source_value",
  "qualifier_source_value",
  "value_source_value",
  "observation_event_id",
  "obs_event_field_concept_id"
) VALUES (
  "new"."observation_id",
  "new"."person_id",
  "new"."observation_concept_id",
  "new"."observation_date",
  "new"."observation_datetime",
  "new"."observation_type_concept_id",
  "new"."value_as_number",
  "new"."value_as_string",
  "new"."value_as_concept_id",
  "new"."qualifier_concept_id",
  "new"."unit_concept_id",
  "new"."provider_id",
  "new"."visit_occurrence_id",
  "new"."visit_detail_id",
  "new"."observation_source_value",
  "new"."observation_source_concept_id",
  "new"."unit_source_value",
  "new"."qualifier_source_value",
  "new"."value_source_value",
  "new"."observation_event_id",
  "new"."obs_event_field_concept_id"
);

-- cdm.observation has rows with the same observation_id
SELECT
  "observation_id",
  COUNT(*) AS "row_count"
FROM "cdm"."observation"
GROUP BY
  "observation_id"
HAVING
  COUNT(*) > 1;
