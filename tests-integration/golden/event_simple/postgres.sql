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
  CASE
    WHEN NOT "rows"."row_reason" IS NULL
    THEN COALESCE("rows"."key_1", 'NULL') || ' | ' || COALESCE("rows"."key_2", 'NULL') || ' | ' || COALESCE("rows"."key_3", 'NULL')
  END AS "source_key",
  "rows"."target_table",
  "rows"."fan_out",
  "rows"."person_id",
  "rows"."concept_id",
  "rows"."source_concept_id",
  "rows"."source_value",
  "rows"."type_concept_id",
  "rows"."start_date",
  "rows"."start_datetime",
  "rows"."end_date",
  "rows"."end_datetime",
  "rows"."value_as_concept_id",
  "rows"."row_reason",
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

-- cdm.condition_occurrence becomes the union of its mappings
TRUNCATE TABLE   "cdm"."condition_occurrence";

-- cdm.condition_occurrence becomes the union of its mappings
INSERT INTO "cdm"."condition_occurrence" (
  "condition_occurrence_id",
  "person_id",
  "condition_concept_id",
  "condition_start_date",
  "condition_start_datetime",
  "condition_end_date",
  "condition_end_datetime",
  "condition_type_concept_id",
  "condition_source_value",
  "condition_source_concept_id"
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."condition_concept_id", "rows"."condition_start_date", "rows"."condition_start_datetime", "rows"."condition_end_date", "rows"."condition_end_datetime", "rows"."condition_type_concept_id", "rows"."condition_source_value", "rows"."condition_source_concept_id"
  ) AS "condition_occurrence_id",
  "rows"."person_id" AS "person_id",
  "rows"."condition_concept_id" AS "condition_concept_id",
  "rows"."condition_start_date" AS "condition_start_date",
  "rows"."condition_start_datetime" AS "condition_start_datetime",
  "rows"."condition_end_date" AS "condition_end_date",
  "rows"."condition_end_datetime" AS "condition_end_datetime",
  "rows"."condition_type_concept_id" AS "condition_type_concept_id",
  "rows"."condition_source_value" AS "condition_source_value",
  "rows"."condition_source_concept_id" AS "condition_source_concept_id"
FROM (
  SELECT
    1 AS "mapping_number",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "condition_concept_id",
    "stage"."start_date" AS "condition_start_date",
    "stage"."start_datetime" AS "condition_start_datetime",
    "stage"."end_date" AS "condition_end_date",
    "stage"."end_datetime" AS "condition_end_datetime",
    "stage"."type_concept_id" AS "condition_type_concept_id",
    LEFT("stage"."source_value", 50) AS "condition_source_value",
    "stage"."source_concept_id" AS "condition_source_concept_id"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'condition_occurrence'
    AND "stage"."row_fate" = 'written'
) AS "rows";

-- cdm.condition_occurrence becomes the union of its mappings
ANALYZE "cdm"."condition_occurrence";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_condition_occurrence";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_condition_occurrence" AS
SELECT
  MAX("condition_occurrence_id") AS "last_id"
FROM "cdm"."condition_occurrence";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_condition_occurrence";

-- write_procedure_occurrence: write cdm.procedure_occurrence from diagnoses

-- cdm.procedure_occurrence becomes the union of its mappings
TRUNCATE TABLE   "cdm"."procedure_occurrence";

-- cdm.procedure_occurrence becomes the union of its mappings
INSERT INTO "cdm"."procedure_occurrence" (
  "procedure_occurrence_id",
  "person_id",
  "procedure_concept_id",
  "procedure_date",
  "procedure_datetime",
  "procedure_end_date",
  "procedure_end_datetime",
  "procedure_type_concept_id",
  "procedure_source_value",
  "procedure_source_concept_id"
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."procedure_concept_id", "rows"."procedure_date", "rows"."procedure_datetime", "rows"."procedure_end_date", "rows"."procedure_end_datetime", "rows"."procedure_type_concept_id", "rows"."procedure_source_value", "rows"."procedure_source_concept_id"
  ) AS "procedure_occurrence_id",
  "rows"."person_id" AS "person_id",
  "rows"."procedure_concept_id" AS "procedure_concept_id",
  "rows"."procedure_date" AS "procedure_date",
  "rows"."procedure_datetime" AS "procedure_datetime",
  "rows"."procedure_end_date" AS "procedure_end_date",
  "rows"."procedure_end_datetime" AS "procedure_end_datetime",
  "rows"."procedure_type_concept_id" AS "procedure_type_concept_id",
  "rows"."procedure_source_value" AS "procedure_source_value",
  "rows"."procedure_source_concept_id" AS "procedure_source_concept_id"
FROM (
  SELECT
    1 AS "mapping_number",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "procedure_concept_id",
    "stage"."start_date" AS "procedure_date",
    "stage"."start_datetime" AS "procedure_datetime",
    "stage"."end_date" AS "procedure_end_date",
    "stage"."end_datetime" AS "procedure_end_datetime",
    "stage"."type_concept_id" AS "procedure_type_concept_id",
    LEFT("stage"."source_value", 50) AS "procedure_source_value",
    "stage"."source_concept_id" AS "procedure_source_concept_id"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'procedure_occurrence'
    AND "stage"."row_fate" = 'written'
) AS "rows";

-- cdm.procedure_occurrence becomes the union of its mappings
ANALYZE "cdm"."procedure_occurrence";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_procedure_occurrence";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_procedure_occurrence" AS
SELECT
  MAX("procedure_occurrence_id") AS "last_id"
FROM "cdm"."procedure_occurrence";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_procedure_occurrence";

-- write_measurement: write cdm.measurement from diagnoses

-- cdm.measurement becomes the union of its mappings
TRUNCATE TABLE   "cdm"."measurement";

-- cdm.measurement becomes the union of its mappings
INSERT INTO "cdm"."measurement" (
  "measurement_id",
  "person_id",
  "measurement_concept_id",
  "measurement_date",
  "measurement_datetime",
  "measurement_type_concept_id",
  "value_as_concept_id",
  "measurement_source_value",
  "measurement_source_concept_id"
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."measurement_concept_id", "rows"."measurement_date", "rows"."measurement_datetime", "rows"."measurement_type_concept_id", "rows"."value_as_concept_id", "rows"."measurement_source_value", "rows"."measurement_source_concept_id"
  ) AS "measurement_id",
  "rows"."person_id" AS "person_id",
  "rows"."measurement_concept_id" AS "measurement_concept_id",
  "rows"."measurement_date" AS "measurement_date",
  "rows"."measurement_datetime" AS "measurement_datetime",
  "rows"."measurement_type_concept_id" AS "measurement_type_concept_id",
  "rows"."value_as_concept_id" AS "value_as_concept_id",
  "rows"."measurement_source_value" AS "measurement_source_value",
  "rows"."measurement_source_concept_id" AS "measurement_source_concept_id"
FROM (
  SELECT
    1 AS "mapping_number",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "measurement_concept_id",
    "stage"."start_date" AS "measurement_date",
    "stage"."start_datetime" AS "measurement_datetime",
    "stage"."type_concept_id" AS "measurement_type_concept_id",
    "stage"."value_as_concept_id" AS "value_as_concept_id",
    LEFT("stage"."source_value", 50) AS "measurement_source_value",
    "stage"."source_concept_id" AS "measurement_source_concept_id"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'measurement' AND "stage"."row_fate" = 'written'
) AS "rows";

-- cdm.measurement becomes the union of its mappings
ANALYZE "cdm"."measurement";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_measurement";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_measurement" AS
SELECT
  MAX("measurement_id") AS "last_id"
FROM "cdm"."measurement";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_measurement";

-- write_observation: write cdm.observation from diagnoses

-- cdm.observation becomes the union of its mappings
TRUNCATE TABLE   "cdm"."observation";

-- cdm.observation becomes the union of its mappings
INSERT INTO "cdm"."observation" (
  "observation_id",
  "person_id",
  "observation_concept_id",
  "observation_date",
  "observation_datetime",
  "observation_type_concept_id",
  "value_as_concept_id",
  "observation_source_value",
  "observation_source_concept_id"
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."observation_concept_id", "rows"."observation_date", "rows"."observation_datetime", "rows"."observation_type_concept_id", "rows"."value_as_concept_id", "rows"."observation_source_value", "rows"."observation_source_concept_id"
  ) AS "observation_id",
  "rows"."person_id" AS "person_id",
  "rows"."observation_concept_id" AS "observation_concept_id",
  "rows"."observation_date" AS "observation_date",
  "rows"."observation_datetime" AS "observation_datetime",
  "rows"."observation_type_concept_id" AS "observation_type_concept_id",
  "rows"."value_as_concept_id" AS "value_as_concept_id",
  "rows"."observation_source_value" AS "observation_source_value",
  "rows"."observation_source_concept_id" AS "observation_source_concept_id"
FROM (
  SELECT
    1 AS "mapping_number",
    "stage"."person_id" AS "person_id",
    "stage"."concept_id" AS "observation_concept_id",
    "stage"."start_date" AS "observation_date",
    "stage"."start_datetime" AS "observation_datetime",
    "stage"."type_concept_id" AS "observation_type_concept_id",
    "stage"."value_as_concept_id" AS "value_as_concept_id",
    LEFT("stage"."source_value", 50) AS "observation_source_value",
    "stage"."source_concept_id" AS "observation_source_concept_id"
  FROM "work"."stage_diagnoses" AS "stage"
  WHERE
    "stage"."target_table" = 'observation' AND "stage"."row_fate" = 'written'
) AS "rows";

-- cdm.observation becomes the union of its mappings
ANALYZE "cdm"."observation";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_observation";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_observation" AS
SELECT
  MAX("observation_id") AS "last_id"
FROM "cdm"."observation";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_observation";
