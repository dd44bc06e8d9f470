-- stage_findings: stage the rows of the mapping findings

-- codes of findings and their concepts
CREATE OR REPLACE TABLE `work`.`codes_findings`
USING DELTA AS
WITH `used` AS (
  SELECT
    'concept' AS `role`,
    'SNOMED' AS `vocabulary`,
    'SNOMED' AS `vocabulary_id`,
    1 AS `preference`,
    CAST(NULL AS STRING) AS `domain_id`,
    `e`.`code` AS `code`,
    COUNT(*) AS `source_rows`
  FROM `source`.`events` AS `e`
  WHERE
    NOT `e`.`code` IS NULL
  GROUP BY
    `e`.`code`
), `source_concept` AS (
  SELECT
    `role`,
    `vocabulary`,
    `preference`,
    `code`,
    `concept_id`,
    `domain_id`,
    ROW_NUMBER() OVER (PARTITION BY `role`, `vocabulary`, `code` ORDER BY `preference` NULLS LAST) AS `best`
  FROM (
    SELECT
      `used`.`role`,
      `used`.`vocabulary`,
      `used`.`preference`,
      `used`.`code`,
      `concept`.`concept_id`,
      `concept`.`domain_id`,
      ROW_NUMBER() OVER (
        PARTITION BY `used`.`role`, `used`.`vocabulary`, `used`.`preference`, `used`.`code`
        ORDER BY CASE WHEN `concept`.`invalid_reason` IS NULL THEN 0 ELSE 1 END NULLS LAST, `concept`.`valid_start_date` DESC, `concept`.`concept_id` NULLS LAST
      ) AS `choice`
    FROM `used`
    JOIN `vocab`.`concept` AS `concept`
      ON `concept`.`vocabulary_id` = `used`.`vocabulary_id`
      AND `concept`.`concept_code` = `used`.`code`
  ) AS `candidates`
  WHERE
    `choice` = 1
), `mapped_concept` AS (
  SELECT
    `source_concept`.`role`,
    `source_concept`.`vocabulary`,
    `source_concept`.`preference`,
    `source_concept`.`code`,
    `maps_to`.`relationship_id`,
    `concept`.`concept_id`,
    `concept`.`domain_id`
  FROM `source_concept`
  JOIN `vocab`.`concept_relationship` AS `maps_to`
    ON `maps_to`.`concept_id_1` = `source_concept`.`concept_id`
    AND `maps_to`.`relationship_id` IN ('Maps to', 'Maps to value')
    AND `maps_to`.`invalid_reason` IS NULL
  JOIN `vocab`.`concept` AS `concept`
    ON `concept`.`concept_id` = `maps_to`.`concept_id_2`
    AND `concept`.`standard_concept` = 'S'
    AND `concept`.`invalid_reason` IS NULL
), `standard_concept` AS (
  SELECT
    `used`.`role`,
    `used`.`vocabulary`,
    `used`.`preference`,
    `used`.`code`,
    `concept`.`concept_id`,
    `concept`.`domain_id`,
    1 AS `origin`
  FROM `used`
  JOIN `vocab`.`source_to_concept_map` AS `own_map`
    ON `own_map`.`source_vocabulary_id` = `used`.`vocabulary_id`
    AND `own_map`.`source_code` = `used`.`code`
    AND `own_map`.`invalid_reason` IS NULL
    AND CURRENT_DATE BETWEEN `own_map`.`valid_start_date` AND `own_map`.`valid_end_date`
  JOIN `vocab`.`concept` AS `concept`
    ON `concept`.`concept_id` = `own_map`.`target_concept_id`
    AND `concept`.`standard_concept` = 'S'
    AND `concept`.`invalid_reason` IS NULL
    AND (
      `used`.`domain_id` IS NULL OR `concept`.`domain_id` = `used`.`domain_id`
    )
  UNION
  SELECT
    `used`.`role`,
    `used`.`vocabulary`,
    `used`.`preference`,
    `used`.`code`,
    `mapped_concept`.`concept_id`,
    `mapped_concept`.`domain_id`,
    2 AS `origin`
  FROM `used`
  JOIN `mapped_concept`
    ON `mapped_concept`.`role` = `used`.`role`
    AND `mapped_concept`.`vocabulary` = `used`.`vocabulary`
    AND `mapped_concept`.`preference` = `used`.`preference`
    AND `mapped_concept`.`code` = `used`.`code`
    AND `mapped_concept`.`relationship_id` = 'Maps to'
    AND (
      `used`.`domain_id` IS NULL OR `mapped_concept`.`domain_id` = `used`.`domain_id`
    )
), `best_concept` AS (
  SELECT
    `role`,
    `vocabulary`,
    `preference`,
    `code`,
    `concept_id`,
    `domain_id`,
    `origin`
  FROM (
    SELECT
      `role`,
      `vocabulary`,
      `preference`,
      `code`,
      `concept_id`,
      `domain_id`,
      `origin`,
      DENSE_RANK() OVER (
        PARTITION BY `role`, `vocabulary`, `code`
        ORDER BY `preference` NULLS LAST, `origin` NULLS LAST
      ) AS `choice`
    FROM `standard_concept`
  ) AS `ranked`
  WHERE
    `choice` = 1
), `chosen` AS (
  SELECT
    `role`,
    `vocabulary`,
    `code`,
    `concept_id`,
    `domain_id`,
    `value_concept_id`,
    ROW_NUMBER() OVER (
      PARTITION BY `role`, `vocabulary`, `code`
      ORDER BY `concept_id` NULLS LAST, `value_concept_id` NULLS LAST
    ) AS `fan_out`
  FROM (
    SELECT
      `routed`.`role`,
      `routed`.`vocabulary`,
      `routed`.`code`,
      `routed`.`concept_id`,
      `routed`.`domain_id`,
      `mapped_value`.`concept_id` AS `value_concept_id`
    FROM (
      SELECT
        `role`,
        `vocabulary`,
        `preference`,
        `code`,
        `concept_id`,
        `domain_id`,
        `origin`,
        `holds`,
        MAX(CASE WHEN `holds` = 'result' THEN 1 ELSE 0 END) OVER (PARTITION BY `role`, `vocabulary`, `code`) AS `results`,
        MAX(CASE WHEN `holds` = 'other' THEN 1 ELSE 0 END) OVER (PARTITION BY `role`, `vocabulary`, `code`) AS `others`
      FROM (
        SELECT
          `role`,
          `vocabulary`,
          `preference`,
          `code`,
          `concept_id`,
          `domain_id`,
          `origin`,
          CASE
            WHEN `domain_id` = 'Condition'
            THEN 'none'
            WHEN `domain_id` = 'Drug'
            THEN 'none'
            WHEN `domain_id` = 'Procedure'
            THEN 'none'
            WHEN `domain_id` = 'Measurement'
            THEN 'result'
            WHEN `domain_id` = 'Device'
            THEN 'none'
            WHEN `domain_id` = 'Specimen'
            THEN 'none'
            ELSE 'other'
          END AS `holds`
        FROM `best_concept`
      ) AS `target`
    ) AS `routed`
    LEFT JOIN `mapped_concept` AS `mapped_value`
      ON `mapped_value`.`role` = `routed`.`role`
      AND `mapped_value`.`vocabulary` = `routed`.`vocabulary`
      AND `mapped_value`.`preference` = `routed`.`preference`
      AND `mapped_value`.`code` = `routed`.`code`
      AND `mapped_value`.`relationship_id` = 'Maps to value'
      AND `routed`.`origin` = 2
      AND (
        CASE
          WHEN `mapped_value`.`domain_id` = 'Meas Value'
          THEN `routed`.`holds` = 'result'
          OR (
            `routed`.`holds` = 'other' AND `routed`.`results` = 0
          )
          ELSE `routed`.`holds` = 'other'
          OR (
            `routed`.`holds` = 'result' AND `routed`.`others` = 0
          )
        END
      )
  ) AS `valued`
)
SELECT
  `used`.`role`,
  `used`.`vocabulary`,
  `used`.`code`,
  `used`.`source_rows`,
  COALESCE(`source_concept`.`concept_id`, 0) AS `source_concept_id`,
  COALESCE(`chosen`.`concept_id`, 0) AS `concept_id`,
  COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) AS `domain_id`,
  `chosen`.`value_concept_id`,
  COALESCE(`chosen`.`fan_out`, 1) AS `fan_out`,
  CASE
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) IS NULL
    THEN 'observation'
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) = 'Condition'
    THEN 'condition_occurrence'
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) = 'Drug'
    THEN 'drug_exposure'
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) = 'Procedure'
    THEN 'procedure_occurrence'
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) = 'Measurement'
    THEN 'measurement'
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) = 'Device'
    THEN 'device_exposure'
    WHEN COALESCE(`chosen`.`domain_id`, `source_concept`.`domain_id`) = 'Specimen'
    THEN 'specimen'
    ELSE 'observation'
  END AS `target_table`
FROM `used`
LEFT JOIN `source_concept`
  ON `source_concept`.`role` = `used`.`role`
  AND `source_concept`.`vocabulary` = `used`.`vocabulary`
  AND `source_concept`.`code` = `used`.`code`
  AND `source_concept`.`best` = 1
LEFT JOIN `chosen`
  ON `chosen`.`role` = `used`.`role`
  AND `chosen`.`vocabulary` = `used`.`vocabulary`
  AND `chosen`.`code` = `used`.`code`
WHERE
  `used`.`preference` = 1;

-- rows of findings, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_findings`
USING DELTA AS
SELECT
  `rows`.*,
  CASE WHEN `rows`.`row_reason` IS NULL THEN 'written' ELSE 'quarantined' END AS `row_fate`
FROM (
  SELECT
    `rows`.*,
    ROW_NUMBER() OVER (
      PARTITION BY `rows`.`event_1_key`, `rows`.`fan_out`
      ORDER BY CASE WHEN `rows`.`row_reason` IS NULL THEN 0 ELSE 1 END NULLS LAST, `rows`.`key_1` NULLS LAST, `rows`.`key_2` NULLS LAST, `rows`.`key_3` NULLS LAST, `rows`.`person_id` NULLS LAST, `rows`.`concept_id` NULLS LAST, `rows`.`source_concept_id` NULLS LAST, `rows`.`source_value` NULLS LAST, `rows`.`type_concept_id` NULLS LAST, `rows`.`start_date` NULLS LAST, `rows`.`start_datetime` NULLS LAST, `rows`.`value_as_concept_id` NULLS LAST
    ) AS `event_1_occurrence`
  FROM (
    SELECT
      `e`.`patient` AS `key_1`,
      `e`.`code` AS `key_2`,
      `e`.`start` AS `key_3`,
      COALESCE(`concept_code`.`target_table`, 'observation') AS `target_table`,
      COALESCE(`concept_code`.`fan_out`, 1) AS `fan_out`,
      `person_key`.`person_id` AS `person_id`,
      COALESCE(`concept_code`.`concept_id`, 0) AS `concept_id`,
      COALESCE(`concept_code`.`source_concept_id`, 0) AS `source_concept_id`,
      `e`.`code` AS `source_value`,
      32817 AS `type_concept_id`,
      CAST(`read`.`start` AS DATE) AS `start_date`,
      `read`.`start` AS `start_datetime`,
      `concept_code`.`value_concept_id` AS `value_as_concept_id`,
      CASE
        WHEN NOT `e`.`patient` IS NULL OR NOT `e`.`place` IS NULL OR NOT `e`.`start` IS NULL
        THEN COALESCE(REPLACE(REPLACE(`e`.`patient`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`e`.`place`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`e`.`start`, '~', '~~'), '|', '~|'), '~N')
      END AS `event_1_key`,
      CASE
        WHEN `person_key`.`person_id` IS NULL AND NOT `e`.`patient` IS NULL
        THEN 'person_id: unknown person'
        WHEN `person_key`.`person_id` IS NULL
        THEN 'person_id: missing'
        WHEN CAST(`read`.`start` AS DATE) IS NULL
        AND (
          NOT `e`.`start` IS NULL AND `read`.`start` IS NULL
        )
        THEN 'start_date: unreadable'
        WHEN CAST(`read`.`start` AS DATE) IS NULL
        THEN 'start_date: missing'
      END AS `row_reason`
    FROM `source`.`events` AS `e`
    LEFT JOIN `work`.`codes_findings` AS `concept_code`
      ON `concept_code`.`role` = 'concept'
      AND `concept_code`.`vocabulary` = 'SNOMED'
      AND `concept_code`.`code` = `e`.`code`
    LEFT JOIN `work`.`key_person` AS `person_key`
      ON `person_key`.`key_1` = `e`.`patient`
    CROSS JOIN LATERAL (
      SELECT
        CASE
          WHEN CAST(`e`.`start` AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?$'
          THEN TRY_CAST(CAST(`e`.`start` AS STRING) AS TIMESTAMP_NTZ)
          ELSE (
            TRY_CAST(CONCAT(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  CAST(`e`.`start` AS STRING),
                  '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
                  '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
                ),
                '([- :])0{1,2}([0-9]{2})',
                '$1$2'
              ),
              '0'
            ) AS TIMESTAMP_NTZ) + CASE
              WHEN CAST(`e`.`start` AS STRING) RLIKE '[^0-9:]24:00'
              THEN INTERVAL '1' DAY
              ELSE INTERVAL '0' DAY
            END
          )
        END AS `start`
    ) AS `read`
  ) AS `rows`
) AS `rows`;

-- write_condition_occurrence: write cdm.condition_occurrence from findings

-- cdm.condition_occurrence becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`condition_occurrence` (
  `condition_occurrence_id`,
  `person_id`,
  `condition_concept_id`,
  `condition_start_date`,
  `condition_start_datetime`,
  `condition_type_concept_id`,
  `condition_source_value`,
  `condition_source_concept_id`,
  `condition_end_date`,
  `condition_end_datetime`,
  `condition_status_concept_id`,
  `stop_reason`,
  `provider_id`,
  `visit_occurrence_id`,
  `visit_detail_id`,
  `condition_status_source_value`
)
WITH `numbered_rows` AS (
  SELECT
    `rows`.`person_id` AS `person_id`,
    `rows`.`condition_concept_id` AS `condition_concept_id`,
    `rows`.`condition_start_date` AS `condition_start_date`,
    `rows`.`condition_start_datetime` AS `condition_start_datetime`,
    `rows`.`condition_type_concept_id` AS `condition_type_concept_id`,
    `rows`.`condition_source_value` AS `condition_source_value`,
    `rows`.`condition_source_concept_id` AS `condition_source_concept_id`,
    `rows`.`mapping_number` AS `order_1`,
    `rows`.`person_id` AS `order_2`,
    `rows`.`condition_concept_id` AS `order_3`,
    `rows`.`condition_start_date` AS `order_4`,
    `rows`.`condition_start_datetime` AS `order_5`,
    `rows`.`condition_type_concept_id` AS `order_6`,
    `rows`.`condition_source_value` AS `order_7`,
    `rows`.`condition_source_concept_id` AS `order_8`
  FROM (
    SELECT
      1 AS `mapping_number`,
      `stage`.`person_id` AS `person_id`,
      `stage`.`concept_id` AS `condition_concept_id`,
      `stage`.`start_date` AS `condition_start_date`,
      `stage`.`start_datetime` AS `condition_start_datetime`,
      `stage`.`type_concept_id` AS `condition_type_concept_id`,
      CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `condition_source_value`,
      `stage`.`source_concept_id` AS `condition_source_concept_id`
    FROM `work`.`stage_findings` AS `stage`
    WHERE
      `stage`.`target_table` = 'condition_occurrence'
      AND `stage`.`row_fate` = 'written'
  ) AS `rows`
), `numbered_bounds` AS (
  SELECT
    CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
    LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
    CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
    LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
    CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
    LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
  FROM `numbered_rows`
), `numbered_places` AS (
  SELECT
    `numbered_rows`.*,
    CAST(SUBSTRING(
      CONCAT(
        COALESCE(
          LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
          REPEAT('G', `width_1`),
          'G'
        ),
        CONCAT(
          COALESCE(
            LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
            REPEAT('G', `width_2`),
            'G'
          ),
          COALESCE(
            LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
            REPEAT('G', `width_3`),
            'G'
          )
        )
      ),
      1,
      5
    ) AS STRING) AS `bucket`
  FROM `numbered_rows`
  CROSS JOIN `numbered_bounds`
), `numbered_buckets` AS (
  SELECT
    `bucket`,
    COUNT(*) AS `row_count`
  FROM `numbered_places`
  GROUP BY
    `bucket`
), `numbered_before` AS (
  SELECT
    `bucket`,
    SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
  FROM `numbered_buckets`
)
SELECT
  `filled`.`condition_occurrence_id`,
  `filled`.`person_id`,
  `filled`.`condition_concept_id`,
  `filled`.`condition_start_date`,
  `filled`.`condition_start_datetime`,
  `filled`.`condition_type_concept_id`,
  `filled`.`condition_source_value`,
  `filled`.`condition_source_concept_id`,
  CAST(NULL AS DATE) AS `condition_end_date`,
  CAST(NULL AS TIMESTAMP_NTZ) AS `condition_end_datetime`,
  CAST(NULL AS INT) AS `condition_status_concept_id`,
  CAST(NULL AS STRING) AS `stop_reason`,
  CAST(NULL AS INT) AS `provider_id`,
  CAST(NULL AS INT) AS `visit_occurrence_id`,
  CAST(NULL AS INT) AS `visit_detail_id`,
  CAST(NULL AS STRING) AS `condition_status_source_value`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST
    ) AS `condition_occurrence_id`,
    `places`.`person_id`,
    `places`.`condition_concept_id`,
    `places`.`condition_start_date`,
    `places`.`condition_start_datetime`,
    `places`.`condition_type_concept_id`,
    `places`.`condition_source_value`,
    `places`.`condition_source_concept_id`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `filled`;

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE `work`.`full_condition_occurrence`
USING DELTA AS
SELECT
  MAX(`condition_occurrence_id`) AS `last_id`
FROM `cdm`.`condition_occurrence`;

-- write_procedure_occurrence: write cdm.procedure_occurrence from findings

-- cdm.procedure_occurrence becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`procedure_occurrence` (
  `procedure_occurrence_id`,
  `person_id`,
  `procedure_concept_id`,
  `procedure_date`,
  `procedure_datetime`,
  `procedure_type_concept_id`,
  `procedure_source_value`,
  `procedure_source_concept_id`,
  `procedure_end_date`,
  `procedure_end_datetime`,
  `modifier_concept_id`,
  `quantity`,
  `provider_id`,
  `visit_occurrence_id`,
  `visit_detail_id`,
  `modifier_source_value`
)
WITH `numbered_rows` AS (
  SELECT
    `rows`.`person_id` AS `person_id`,
    `rows`.`procedure_concept_id` AS `procedure_concept_id`,
    `rows`.`procedure_date` AS `procedure_date`,
    `rows`.`procedure_datetime` AS `procedure_datetime`,
    `rows`.`procedure_type_concept_id` AS `procedure_type_concept_id`,
    `rows`.`procedure_source_value` AS `procedure_source_value`,
    `rows`.`procedure_source_concept_id` AS `procedure_source_concept_id`,
    `rows`.`mapping_number` AS `order_1`,
    `rows`.`person_id` AS `order_2`,
    `rows`.`procedure_concept_id` AS `order_3`,
    `rows`.`procedure_date` AS `order_4`,
    `rows`.`procedure_datetime` AS `order_5`,
    `rows`.`procedure_type_concept_id` AS `order_6`,
    `rows`.`procedure_source_value` AS `order_7`,
    `rows`.`procedure_source_concept_id` AS `order_8`
  FROM (
    SELECT
      1 AS `mapping_number`,
      `stage`.`person_id` AS `person_id`,
      `stage`.`concept_id` AS `procedure_concept_id`,
      `stage`.`start_date` AS `procedure_date`,
      `stage`.`start_datetime` AS `procedure_datetime`,
      `stage`.`type_concept_id` AS `procedure_type_concept_id`,
      CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `procedure_source_value`,
      `stage`.`source_concept_id` AS `procedure_source_concept_id`
    FROM `work`.`stage_findings` AS `stage`
    WHERE
      `stage`.`target_table` = 'procedure_occurrence'
      AND `stage`.`row_fate` = 'written'
  ) AS `rows`
), `numbered_bounds` AS (
  SELECT
    CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
    LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
    CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
    LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
    CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
    LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
  FROM `numbered_rows`
), `numbered_places` AS (
  SELECT
    `numbered_rows`.*,
    CAST(SUBSTRING(
      CONCAT(
        COALESCE(
          LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
          REPEAT('G', `width_1`),
          'G'
        ),
        CONCAT(
          COALESCE(
            LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
            REPEAT('G', `width_2`),
            'G'
          ),
          COALESCE(
            LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
            REPEAT('G', `width_3`),
            'G'
          )
        )
      ),
      1,
      5
    ) AS STRING) AS `bucket`
  FROM `numbered_rows`
  CROSS JOIN `numbered_bounds`
), `numbered_buckets` AS (
  SELECT
    `bucket`,
    COUNT(*) AS `row_count`
  FROM `numbered_places`
  GROUP BY
    `bucket`
), `numbered_before` AS (
  SELECT
    `bucket`,
    SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
  FROM `numbered_buckets`
)
SELECT
  `filled`.`procedure_occurrence_id`,
  `filled`.`person_id`,
  `filled`.`procedure_concept_id`,
  `filled`.`procedure_date`,
  `filled`.`procedure_datetime`,
  `filled`.`procedure_type_concept_id`,
  `filled`.`procedure_source_value`,
  `filled`.`procedure_source_concept_id`,
  CAST(NULL AS DATE) AS `procedure_end_date`,
  CAST(NULL AS TIMESTAMP_NTZ) AS `procedure_end_datetime`,
  CAST(NULL AS INT) AS `modifier_concept_id`,
  CAST(NULL AS INT) AS `quantity`,
  CAST(NULL AS INT) AS `provider_id`,
  CAST(NULL AS INT) AS `visit_occurrence_id`,
  CAST(NULL AS INT) AS `visit_detail_id`,
  CAST(NULL AS STRING) AS `modifier_source_value`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST
    ) AS `procedure_occurrence_id`,
    `places`.`person_id`,
    `places`.`procedure_concept_id`,
    `places`.`procedure_date`,
    `places`.`procedure_datetime`,
    `places`.`procedure_type_concept_id`,
    `places`.`procedure_source_value`,
    `places`.`procedure_source_concept_id`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `filled`;

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE `work`.`full_procedure_occurrence`
USING DELTA AS
SELECT
  MAX(`procedure_occurrence_id`) AS `last_id`
FROM `cdm`.`procedure_occurrence`;

-- write_observation: write cdm.observation from findings

-- cdm.observation becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`observation` (
  `observation_id`,
  `person_id`,
  `observation_concept_id`,
  `observation_date`,
  `observation_datetime`,
  `observation_type_concept_id`,
  `value_as_concept_id`,
  `observation_source_value`,
  `observation_source_concept_id`,
  `value_as_number`,
  `value_as_string`,
  `qualifier_concept_id`,
  `unit_concept_id`,
  `provider_id`,
  `visit_occurrence_id`,
  `visit_detail_id`,
  `unit_source_value`,
  `qualifier_source_value`,
  `value_source_value`,
  `observation_event_id`,
  `obs_event_field_concept_id`
)
WITH `numbered_rows` AS (
  SELECT
    `rows`.`person_id` AS `person_id`,
    `rows`.`observation_concept_id` AS `observation_concept_id`,
    `rows`.`observation_date` AS `observation_date`,
    `rows`.`observation_datetime` AS `observation_datetime`,
    `rows`.`observation_type_concept_id` AS `observation_type_concept_id`,
    `rows`.`value_as_concept_id` AS `value_as_concept_id`,
    `rows`.`observation_source_value` AS `observation_source_value`,
    `rows`.`observation_source_concept_id` AS `observation_source_concept_id`,
    `rows`.`mapping_number` AS `order_1`,
    `rows`.`person_id` AS `order_2`,
    `rows`.`observation_concept_id` AS `order_3`,
    `rows`.`observation_date` AS `order_4`,
    `rows`.`observation_datetime` AS `order_5`,
    `rows`.`observation_type_concept_id` AS `order_6`,
    `rows`.`value_as_concept_id` AS `order_7`,
    `rows`.`observation_source_value` AS `order_8`,
    `rows`.`observation_source_concept_id` AS `order_9`
  FROM (
    SELECT
      1 AS `mapping_number`,
      `stage`.`person_id` AS `person_id`,
      `stage`.`concept_id` AS `observation_concept_id`,
      `stage`.`start_date` AS `observation_date`,
      `stage`.`start_datetime` AS `observation_datetime`,
      `stage`.`type_concept_id` AS `observation_type_concept_id`,
      `stage`.`value_as_concept_id` AS `value_as_concept_id`,
      CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `observation_source_value`,
      `stage`.`source_concept_id` AS `observation_source_concept_id`
    FROM `work`.`stage_findings` AS `stage`
    WHERE
      `stage`.`target_table` = 'observation' AND `stage`.`row_fate` = 'written'
  ) AS `rows`
), `numbered_bounds` AS (
  SELECT
    CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
    LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
    CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
    LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
    CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
    LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
  FROM `numbered_rows`
), `numbered_places` AS (
  SELECT
    `numbered_rows`.*,
    CAST(SUBSTRING(
      CONCAT(
        COALESCE(
          LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
          REPEAT('G', `width_1`),
          'G'
        ),
        CONCAT(
          COALESCE(
            LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
            REPEAT('G', `width_2`),
            'G'
          ),
          COALESCE(
            LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
            REPEAT('G', `width_3`),
            'G'
          )
        )
      ),
      1,
      5
    ) AS STRING) AS `bucket`
  FROM `numbered_rows`
  CROSS JOIN `numbered_bounds`
), `numbered_buckets` AS (
  SELECT
    `bucket`,
    COUNT(*) AS `row_count`
  FROM `numbered_places`
  GROUP BY
    `bucket`
), `numbered_before` AS (
  SELECT
    `bucket`,
    SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
  FROM `numbered_buckets`
)
SELECT
  `filled`.`observation_id`,
  `filled`.`person_id`,
  `filled`.`observation_concept_id`,
  `filled`.`observation_date`,
  `filled`.`observation_datetime`,
  `filled`.`observation_type_concept_id`,
  `filled`.`value_as_concept_id`,
  `filled`.`observation_source_value`,
  `filled`.`observation_source_concept_id`,
  CAST(NULL AS DOUBLE) AS `value_as_number`,
  CAST(NULL AS STRING) AS `value_as_string`,
  CAST(NULL AS INT) AS `qualifier_concept_id`,
  CAST(NULL AS INT) AS `unit_concept_id`,
  CAST(NULL AS INT) AS `provider_id`,
  CAST(NULL AS INT) AS `visit_occurrence_id`,
  CAST(NULL AS INT) AS `visit_detail_id`,
  CAST(NULL AS STRING) AS `unit_source_value`,
  CAST(NULL AS STRING) AS `qualifier_source_value`,
  CAST(NULL AS STRING) AS `value_source_value`,
  CAST(NULL AS INT) AS `observation_event_id`,
  CAST(NULL AS INT) AS `obs_event_field_concept_id`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST
    ) AS `observation_id`,
    `places`.`person_id`,
    `places`.`observation_concept_id`,
    `places`.`observation_date`,
    `places`.`observation_datetime`,
    `places`.`observation_type_concept_id`,
    `places`.`value_as_concept_id`,
    `places`.`observation_source_value`,
    `places`.`observation_source_concept_id`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `filled`;

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE `work`.`full_observation`
USING DELTA AS
SELECT
  MAX(`observation_id`) AS `last_id`
FROM `cdm`.`observation`;

-- events_findings: find the rows of findings by their natural key

-- the rows that stand for the events of findings
CREATE OR REPLACE TABLE `work`.`event_findings`
USING DELTA AS
SELECT
  `found`.`event_key`,
  `found`.`event_occurrence`,
  `found`.`event_id`,
  `found`.`event_table`,
  COALESCE(`fields`.`concept_id`, 0) AS `event_field_concept_id`
FROM (
  SELECT
    `each`.`event_key`,
    `each`.`event_id`,
    `each`.`event_table`,
    ROW_NUMBER() OVER (
      PARTITION BY `each`.`event_key`
      ORDER BY `each`.`event_table` NULLS LAST, `each`.`event_id` NULLS LAST
    ) AS `event_occurrence`
  FROM (
    SELECT
      *
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'condition_occurrence' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`condition_concept_id` AS `order_3`,
            `rows`.`condition_start_date` AS `order_4`,
            `rows`.`condition_start_datetime` AS `order_5`,
            `rows`.`condition_type_concept_id` AS `order_6`,
            `rows`.`condition_source_value` AS `order_7`,
            `rows`.`condition_source_concept_id` AS `order_8`,
            `rows`.`event_key` AS `order_9`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `condition_concept_id`,
              `stage`.`start_date` AS `condition_start_date`,
              `stage`.`start_datetime` AS `condition_start_datetime`,
              `stage`.`type_concept_id` AS `condition_type_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `condition_source_value`,
              `stage`.`source_concept_id` AS `condition_source_concept_id`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'condition_occurrence'
              AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
      UNION ALL
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'drug_exposure' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`drug_concept_id` AS `order_3`,
            `rows`.`drug_exposure_start_date` AS `order_4`,
            `rows`.`drug_exposure_start_datetime` AS `order_5`,
            `rows`.`drug_exposure_end_date` AS `order_6`,
            `rows`.`drug_exposure_end_datetime` AS `order_7`,
            `rows`.`drug_type_concept_id` AS `order_8`,
            `rows`.`drug_source_value` AS `order_9`,
            `rows`.`drug_source_concept_id` AS `order_10`,
            `rows`.`event_key` AS `order_11`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `drug_concept_id`,
              `stage`.`start_date` AS `drug_exposure_start_date`,
              `stage`.`start_datetime` AS `drug_exposure_start_datetime`,
              `stage`.`start_date` AS `drug_exposure_end_date`,
              `stage`.`start_datetime` AS `drug_exposure_end_datetime`,
              `stage`.`type_concept_id` AS `drug_type_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `drug_source_value`,
              `stage`.`source_concept_id` AS `drug_source_concept_id`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'drug_exposure' AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
      UNION ALL
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'procedure_occurrence' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`procedure_concept_id` AS `order_3`,
            `rows`.`procedure_date` AS `order_4`,
            `rows`.`procedure_datetime` AS `order_5`,
            `rows`.`procedure_type_concept_id` AS `order_6`,
            `rows`.`procedure_source_value` AS `order_7`,
            `rows`.`procedure_source_concept_id` AS `order_8`,
            `rows`.`event_key` AS `order_9`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `procedure_concept_id`,
              `stage`.`start_date` AS `procedure_date`,
              `stage`.`start_datetime` AS `procedure_datetime`,
              `stage`.`type_concept_id` AS `procedure_type_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `procedure_source_value`,
              `stage`.`source_concept_id` AS `procedure_source_concept_id`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'procedure_occurrence'
              AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
      UNION ALL
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'device_exposure' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`device_concept_id` AS `order_3`,
            `rows`.`device_exposure_start_date` AS `order_4`,
            `rows`.`device_exposure_start_datetime` AS `order_5`,
            `rows`.`device_type_concept_id` AS `order_6`,
            `rows`.`device_source_value` AS `order_7`,
            `rows`.`device_source_concept_id` AS `order_8`,
            `rows`.`event_key` AS `order_9`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `device_concept_id`,
              `stage`.`start_date` AS `device_exposure_start_date`,
              `stage`.`start_datetime` AS `device_exposure_start_datetime`,
              `stage`.`type_concept_id` AS `device_type_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `device_source_value`,
              `stage`.`source_concept_id` AS `device_source_concept_id`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'device_exposure' AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
      UNION ALL
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'measurement' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`measurement_concept_id` AS `order_3`,
            `rows`.`measurement_date` AS `order_4`,
            `rows`.`measurement_datetime` AS `order_5`,
            `rows`.`measurement_type_concept_id` AS `order_6`,
            `rows`.`value_as_concept_id` AS `order_7`,
            `rows`.`measurement_source_value` AS `order_8`,
            `rows`.`measurement_source_concept_id` AS `order_9`,
            `rows`.`measurement_event_id` AS `order_10`,
            `rows`.`meas_event_field_concept_id` AS `order_11`,
            `rows`.`m1_event_1_key` AS `order_12`,
            `rows`.`m1_event_1_occurrence` AS `order_13`,
            `rows`.`event_key` AS `order_14`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`event_1_key` AS `m1_event_1_key`,
              `stage`.`event_1_occurrence` AS `m1_event_1_occurrence`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `measurement_concept_id`,
              `stage`.`start_date` AS `measurement_date`,
              `stage`.`start_datetime` AS `measurement_datetime`,
              `stage`.`type_concept_id` AS `measurement_type_concept_id`,
              `stage`.`value_as_concept_id` AS `value_as_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `measurement_source_value`,
              `stage`.`source_concept_id` AS `measurement_source_concept_id`,
              CAST(NULL AS INT) AS `measurement_event_id`,
              CAST(NULL AS INT) AS `meas_event_field_concept_id`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'measurement' AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST, `places`.`order_12` NULLS LAST, `places`.`order_13` NULLS LAST, `places`.`order_14` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
      UNION ALL
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'observation' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`observation_concept_id` AS `order_3`,
            `rows`.`observation_date` AS `order_4`,
            `rows`.`observation_datetime` AS `order_5`,
            `rows`.`observation_type_concept_id` AS `order_6`,
            `rows`.`value_as_concept_id` AS `order_7`,
            `rows`.`observation_source_value` AS `order_8`,
            `rows`.`observation_source_concept_id` AS `order_9`,
            `rows`.`event_key` AS `order_10`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `observation_concept_id`,
              `stage`.`start_date` AS `observation_date`,
              `stage`.`start_datetime` AS `observation_datetime`,
              `stage`.`type_concept_id` AS `observation_type_concept_id`,
              `stage`.`value_as_concept_id` AS `value_as_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `observation_source_value`,
              `stage`.`source_concept_id` AS `observation_source_concept_id`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'observation' AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
      UNION ALL
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'specimen' AS `event_table`,
        `numbered`.`event_key`,
        `numbered`.`event_rank`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`event_key`,
            `rows`.`event_rank`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`specimen_concept_id` AS `order_3`,
            `rows`.`specimen_type_concept_id` AS `order_4`,
            `rows`.`specimen_date` AS `order_5`,
            `rows`.`specimen_datetime` AS `order_6`,
            `rows`.`specimen_source_value` AS `order_7`,
            `rows`.`event_key` AS `order_8`
          FROM (
            SELECT
              COALESCE(REPLACE(REPLACE(`stage`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_2`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`stage`.`key_3`, '~', '~~'), '|', '~|'), '~N') AS `event_key`,
              `stage`.`fan_out` AS `event_rank`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `specimen_concept_id`,
              `stage`.`type_concept_id` AS `specimen_type_concept_id`,
              `stage`.`start_date` AS `specimen_date`,
              `stage`.`start_datetime` AS `specimen_datetime`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `specimen_source_value`
            FROM `work`.`stage_findings` AS `stage`
            WHERE
              `stage`.`target_table` = 'specimen' AND `stage`.`row_fate` = 'written'
          ) AS `rows`
        ), `numbered_bounds` AS (
          SELECT
            CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
            LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
            CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
            LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
            CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
            LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
          FROM `numbered_rows`
        ), `numbered_places` AS (
          SELECT
            `numbered_rows`.*,
            CAST(SUBSTRING(
              CONCAT(
                COALESCE(
                  LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
                  REPEAT('G', `width_1`),
                  'G'
                ),
                CONCAT(
                  COALESCE(
                    LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
                    REPEAT('G', `width_2`),
                    'G'
                  ),
                  COALESCE(
                    LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
                    REPEAT('G', `width_3`),
                    'G'
                  )
                )
              ),
              1,
              5
            ) AS STRING) AS `bucket`
          FROM `numbered_rows`
          CROSS JOIN `numbered_bounds`
        ), `numbered_buckets` AS (
          SELECT
            `bucket`,
            COUNT(*) AS `row_count`
          FROM `numbered_places`
          GROUP BY
            `bucket`
        ), `numbered_before` AS (
          SELECT
            `bucket`,
            SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
          FROM `numbered_buckets`
        )
        SELECT
          `before`.`row_count` + ROW_NUMBER() OVER (
            PARTITION BY `places`.`bucket`
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST
          ) AS `event_id`,
          `places`.`event_key`,
          `places`.`event_rank`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `each`
    WHERE
      `each`.`event_rank` = 1
  ) AS `each`
) AS `found`
LEFT JOIN (
  SELECT
    LOWER(`concept_name`) AS `field_name`,
    MIN(`concept_id`) AS `concept_id`
  FROM `vocab`.`concept`
  WHERE
    `vocabulary_id` = 'CDM'
    AND `concept_class_id` = 'Field'
    AND `invalid_reason` IS NULL
  GROUP BY
    LOWER(`concept_name`)
) AS `fields`
  ON `fields`.`field_name` = `found`.`event_table` || '.' || `found`.`event_table` || '_id';

-- write_measurement: write cdm.measurement from findings

-- cdm.measurement becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`measurement` (
  `measurement_id`,
  `person_id`,
  `measurement_concept_id`,
  `measurement_date`,
  `measurement_datetime`,
  `measurement_type_concept_id`,
  `value_as_concept_id`,
  `measurement_source_value`,
  `measurement_source_concept_id`,
  `measurement_event_id`,
  `meas_event_field_concept_id`,
  `measurement_time`,
  `operator_concept_id`,
  `value_as_number`,
  `unit_concept_id`,
  `range_low`,
  `range_high`,
  `provider_id`,
  `visit_occurrence_id`,
  `visit_detail_id`,
  `unit_source_value`,
  `unit_source_concept_id`,
  `value_source_value`
)
WITH `numbered_rows` AS (
  SELECT
    `rows`.`person_id` AS `person_id`,
    `rows`.`measurement_concept_id` AS `measurement_concept_id`,
    `rows`.`measurement_date` AS `measurement_date`,
    `rows`.`measurement_datetime` AS `measurement_datetime`,
    `rows`.`measurement_type_concept_id` AS `measurement_type_concept_id`,
    `rows`.`value_as_concept_id` AS `value_as_concept_id`,
    `rows`.`measurement_source_value` AS `measurement_source_value`,
    `rows`.`measurement_source_concept_id` AS `measurement_source_concept_id`,
    COALESCE(`rows`.`measurement_event_id`, `m1_event_1`.`event_id`) AS `measurement_event_id`,
    COALESCE(`rows`.`meas_event_field_concept_id`, `m1_event_1`.`event_field_concept_id`) AS `meas_event_field_concept_id`,
    `rows`.`mapping_number` AS `order_1`,
    `rows`.`person_id` AS `order_2`,
    `rows`.`measurement_concept_id` AS `order_3`,
    `rows`.`measurement_date` AS `order_4`,
    `rows`.`measurement_datetime` AS `order_5`,
    `rows`.`measurement_type_concept_id` AS `order_6`,
    `rows`.`value_as_concept_id` AS `order_7`,
    `rows`.`measurement_source_value` AS `order_8`,
    `rows`.`measurement_source_concept_id` AS `order_9`,
    `rows`.`measurement_event_id` AS `order_10`,
    `rows`.`meas_event_field_concept_id` AS `order_11`,
    `rows`.`m1_event_1_key` AS `order_12`,
    `rows`.`m1_event_1_occurrence` AS `order_13`
  FROM (
    SELECT
      1 AS `mapping_number`,
      `stage`.`event_1_key` AS `m1_event_1_key`,
      `stage`.`event_1_occurrence` AS `m1_event_1_occurrence`,
      `stage`.`person_id` AS `person_id`,
      `stage`.`concept_id` AS `measurement_concept_id`,
      `stage`.`start_date` AS `measurement_date`,
      `stage`.`start_datetime` AS `measurement_datetime`,
      `stage`.`type_concept_id` AS `measurement_type_concept_id`,
      `stage`.`value_as_concept_id` AS `value_as_concept_id`,
      CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `measurement_source_value`,
      `stage`.`source_concept_id` AS `measurement_source_concept_id`,
      CAST(NULL AS INT) AS `measurement_event_id`,
      CAST(NULL AS INT) AS `meas_event_field_concept_id`
    FROM `work`.`stage_findings` AS `stage`
    WHERE
      `stage`.`target_table` = 'measurement' AND `stage`.`row_fate` = 'written'
  ) AS `rows`
  LEFT JOIN `work`.`event_findings` AS `m1_event_1`
    ON `rows`.`mapping_number` = 1
    AND `m1_event_1`.`event_key` = `rows`.`m1_event_1_key`
    AND `m1_event_1`.`event_occurrence` = `rows`.`m1_event_1_occurrence`
), `numbered_bounds` AS (
  SELECT
    CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
    LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
    CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
    LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
    CAST(MIN(`order_3`) AS BIGINT) AS `least_3`,
    LENGTH(HEX(CAST(MAX(`order_3`) AS BIGINT) - CAST(MIN(`order_3`) AS BIGINT))) AS `width_3`
  FROM `numbered_rows`
), `numbered_places` AS (
  SELECT
    `numbered_rows`.*,
    CAST(SUBSTRING(
      CONCAT(
        COALESCE(
          LPAD(HEX(CAST(`order_1` AS BIGINT) - `least_1`), `width_1`, '0'),
          REPEAT('G', `width_1`),
          'G'
        ),
        CONCAT(
          COALESCE(
            LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
            REPEAT('G', `width_2`),
            'G'
          ),
          COALESCE(
            LPAD(HEX(CAST(`order_3` AS BIGINT) - `least_3`), `width_3`, '0'),
            REPEAT('G', `width_3`),
            'G'
          )
        )
      ),
      1,
      5
    ) AS STRING) AS `bucket`
  FROM `numbered_rows`
  CROSS JOIN `numbered_bounds`
), `numbered_buckets` AS (
  SELECT
    `bucket`,
    COUNT(*) AS `row_count`
  FROM `numbered_places`
  GROUP BY
    `bucket`
), `numbered_before` AS (
  SELECT
    `bucket`,
    SUM(`row_count`) OVER (ORDER BY `bucket`) - `row_count` AS `row_count`
  FROM `numbered_buckets`
)
SELECT
  `filled`.`measurement_id`,
  `filled`.`person_id`,
  `filled`.`measurement_concept_id`,
  `filled`.`measurement_date`,
  `filled`.`measurement_datetime`,
  `filled`.`measurement_type_concept_id`,
  `filled`.`value_as_concept_id`,
  `filled`.`measurement_source_value`,
  `filled`.`measurement_source_concept_id`,
  `filled`.`measurement_event_id`,
  `filled`.`meas_event_field_concept_id`,
  CAST(NULL AS STRING) AS `measurement_time`,
  CAST(NULL AS INT) AS `operator_concept_id`,
  CAST(NULL AS DOUBLE) AS `value_as_number`,
  CAST(NULL AS INT) AS `unit_concept_id`,
  CAST(NULL AS DOUBLE) AS `range_low`,
  CAST(NULL AS DOUBLE) AS `range_high`,
  CAST(NULL AS INT) AS `provider_id`,
  CAST(NULL AS INT) AS `visit_occurrence_id`,
  CAST(NULL AS INT) AS `visit_detail_id`,
  CAST(NULL AS STRING) AS `unit_source_value`,
  CAST(NULL AS INT) AS `unit_source_concept_id`,
  CAST(NULL AS STRING) AS `value_source_value`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST, `places`.`order_12` NULLS LAST, `places`.`order_13` NULLS LAST
    ) AS `measurement_id`,
    `places`.`person_id`,
    `places`.`measurement_concept_id`,
    `places`.`measurement_date`,
    `places`.`measurement_datetime`,
    `places`.`measurement_type_concept_id`,
    `places`.`value_as_concept_id`,
    `places`.`measurement_source_value`,
    `places`.`measurement_source_concept_id`,
    `places`.`measurement_event_id`,
    `places`.`meas_event_field_concept_id`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `filled`;

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE `work`.`full_measurement`
USING DELTA AS
SELECT
  MAX(`measurement_id`) AS `last_id`
FROM `cdm`.`measurement`;
