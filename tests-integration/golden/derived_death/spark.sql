-- stage_deaths: stage the rows of the mapping deaths

-- codes of deaths and their concepts
CREATE OR REPLACE TABLE `work`.`codes_deaths`
USING DELTA AS
WITH `used` AS (
  SELECT
    'cause_2' AS `role`,
    'SNOMED' AS `vocabulary`,
    'SNOMED' AS `vocabulary_id`,
    1 AS `preference`,
    CAST(NULL AS STRING) AS `domain_id`,
    `e`.`value` AS `code`,
    COUNT(*) AS `source_rows`
  FROM `source`.`events` AS `e`
  WHERE
    `e`.`code` = 'died' AND NOT `e`.`value` IS NULL
  GROUP BY
    `e`.`value`
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
    AND `maps_to`.`relationship_id` = 'Maps to'
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
      `role`,
      `vocabulary`,
      `code`,
      `concept_id`,
      `domain_id`,
      CAST(NULL AS INT) AS `value_concept_id`
    FROM `best_concept`
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
  COALESCE(`chosen`.`fan_out`, 1) AS `fan_out`
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

-- rows of deaths, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_deaths`
USING DELTA AS
WITH `rows` AS (
  SELECT
    `rows`.*,
    COALESCE(REPLACE(REPLACE(CAST(`rows`.`key_1` AS STRING), '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(CAST(`rows`.`key_2` AS STRING), '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(
      REPLACE(REPLACE(CAST(`rows`.`death_type_concept_id` AS STRING), '~', '~~'), '|', '~|'),
      '~N'
    ) || '|' || COALESCE(
      REPLACE(REPLACE(CAST(`rows`.`cause_concept_id` AS STRING), '~', '~~'), '|', '~|'),
      '~N'
    ) || '|' || COALESCE(
      REPLACE(REPLACE(CAST(`rows`.`cause_source_value` AS STRING), '~', '~~'), '|', '~|'),
      '~N'
    ) || '|' || COALESCE(
      REPLACE(REPLACE(CAST(`rows`.`cause_source_concept_id` AS STRING), '~', '~~'), '|', '~|'),
      '~N'
    ) AS `row_text`
  FROM (
    SELECT
      `p`.`name` AS `key_1`,
      CAST(NULL AS STRING) AS `key_2`,
      1 AS `source_number`,
      'death' AS `says`,
      `person_key`.`person_id` AS `person_id`,
      CASE
        WHEN LENGTH(`p`.`city`) = 4
        THEN `read`.`value`
        WHEN LENGTH(`p`.`city`) = 7
        THEN LAST_DAY(`read`.`value_2`)
        ELSE CAST(`read`.`city` AS DATE)
      END AS `death_date`,
      CASE WHEN LENGTH(`p`.`city`) > 10 THEN `read`.`city` END AS `death_datetime`,
      CAST(NULL AS INT) AS `death_type_concept_id`,
      CAST(NULL AS INT) AS `cause_concept_id`,
      CAST(NULL AS STRING) AS `cause_source_value`,
      CAST(NULL AS INT) AS `cause_source_concept_id`,
      CAST(NULL AS DATE) AS `said_date`,
      CAST(NULL AS TIMESTAMP_NTZ) AS `said_datetime`,
      CASE
        WHEN `person_key`.`person_id` IS NULL AND NOT `p`.`name` IS NULL
        THEN 'person_id: unknown person'
        WHEN `person_key`.`person_id` IS NULL
        THEN 'person_id: missing'
        WHEN CASE
          WHEN LENGTH(`p`.`city`) = 4
          THEN `read`.`value`
          WHEN LENGTH(`p`.`city`) = 7
          THEN LAST_DAY(`read`.`value_2`)
          ELSE CAST(`read`.`city` AS DATE)
        END IS NULL
        AND NOT `p`.`city` IS NULL
        THEN 'death_date: unreadable'
        WHEN CASE
          WHEN LENGTH(`p`.`city`) = 4
          THEN `read`.`value`
          WHEN LENGTH(`p`.`city`) = 7
          THEN LAST_DAY(`read`.`value_2`)
          ELSE CAST(`read`.`city` AS DATE)
        END IS NULL
        THEN 'death_date: missing'
      END AS `row_reason`
    FROM `source`.`places` AS `p`
    LEFT JOIN `work`.`key_person` AS `person_key`
      ON `person_key`.`key_1` = `p`.`name`
    CROSS JOIN LATERAL (
      SELECT
        CASE
          WHEN CAST(`p`.`city` || '-12-31' AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}$'
          THEN TRY_CAST(CAST(`p`.`city` || '-12-31' AS STRING) AS DATE)
          ELSE CAST((
            TRY_CAST(CONCAT(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  CAST(`p`.`city` || '-12-31' AS STRING),
                  '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
                  '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
                ),
                '([- :])0{1,2}([0-9]{2})',
                '$1$2'
              ),
              '0'
            ) AS TIMESTAMP_NTZ) + CASE
              WHEN CAST(`p`.`city` || '-12-31' AS STRING) RLIKE '[^0-9:]24:00'
              THEN INTERVAL '1' DAY
              ELSE INTERVAL '0' DAY
            END
          ) AS DATE)
        END AS `value`,
        CASE
          WHEN CAST(`p`.`city` AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?$'
          THEN TRY_CAST(CAST(`p`.`city` AS STRING) AS TIMESTAMP_NTZ)
          ELSE (
            TRY_CAST(CONCAT(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  CAST(`p`.`city` AS STRING),
                  '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
                  '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
                ),
                '([- :])0{1,2}([0-9]{2})',
                '$1$2'
              ),
              '0'
            ) AS TIMESTAMP_NTZ) + CASE
              WHEN CAST(`p`.`city` AS STRING) RLIKE '[^0-9:]24:00'
              THEN INTERVAL '1' DAY
              ELSE INTERVAL '0' DAY
            END
          )
        END AS `city`,
        CASE
          WHEN CAST(`p`.`city` || '-01' AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}$'
          THEN TRY_CAST(CAST(`p`.`city` || '-01' AS STRING) AS DATE)
          ELSE CAST((
            TRY_CAST(CONCAT(
              REGEXP_REPLACE(
                REGEXP_REPLACE(
                  CAST(`p`.`city` || '-01' AS STRING),
                  '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
                  '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
                ),
                '([- :])0{1,2}([0-9]{2})',
                '$1$2'
              ),
              '0'
            ) AS TIMESTAMP_NTZ) + CASE
              WHEN CAST(`p`.`city` || '-01' AS STRING) RLIKE '[^0-9:]24:00'
              THEN INTERVAL '1' DAY
              ELSE INTERVAL '0' DAY
            END
          ) AS DATE)
        END AS `value_2`
    ) AS `read`
    UNION ALL
    SELECT
      `e`.`patient` AS `key_1`,
      `e`.`start` AS `key_2`,
      2 AS `source_number`,
      'cause' AS `says`,
      `person_key`.`person_id` AS `person_id`,
      CAST(NULL AS DATE) AS `death_date`,
      CAST(NULL AS TIMESTAMP_NTZ) AS `death_datetime`,
      CAST(NULL AS INT) AS `death_type_concept_id`,
      CASE WHEN NOT `e`.`value` IS NULL THEN COALESCE(`cause_2_code`.`concept_id`, 0) END AS `cause_concept_id`,
      `e`.`value` AS `cause_source_value`,
      CASE
        WHEN NOT `e`.`value` IS NULL
        THEN COALESCE(`cause_2_code`.`source_concept_id`, 0)
      END AS `cause_source_concept_id`,
      CAST(`read_2`.`start` AS DATE) AS `said_date`,
      `read_2`.`start` AS `said_datetime`,
      CASE
        WHEN `person_key`.`person_id` IS NULL AND NOT `e`.`patient` IS NULL
        THEN 'person_id: unknown person'
        WHEN `person_key`.`person_id` IS NULL
        THEN 'person_id: missing'
      END AS `row_reason`
    FROM `source`.`events` AS `e`
    LEFT JOIN `work`.`codes_deaths` AS `cause_2_code`
      ON `cause_2_code`.`role` = 'cause_2'
      AND `cause_2_code`.`vocabulary` = 'SNOMED'
      AND `cause_2_code`.`code` = `e`.`value`
      AND `cause_2_code`.`fan_out` = 1
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
    ) AS `read_2`
    WHERE
      `e`.`code` = 'died'
  ) AS `rows`
), `aged` AS (
  SELECT
    `rows`.*,
    CASE
      WHEN `row_reason` IS NULL
      AND `says` = 'death'
      AND EXTRACT(YEAR FROM `death_date`) * 10000 + EXTRACT(MONTH FROM `death_date`) * 100 + EXTRACT(DAY FROM `death_date`) < `person`.`year_of_birth` * 10000 + COALESCE(`person`.`month_of_birth`, 1) * 100 + COALESCE(`person`.`day_of_birth`, 1)
      THEN 'death_date: before birth'
      ELSE `row_reason`
    END AS `reason`
  FROM `rows`
  LEFT JOIN `cdm`.`person` AS `person`
    ON `person`.`person_id` = `rows`.`person_id`
), `placed` AS (
  SELECT
    `aged`.*,
    CASE WHEN NOT `reason` IS NULL THEN 'aside' ELSE `says` END AS `place`,
    CASE WHEN `says` = 'cause' OR TRUE THEN -1 ELSE 1 END * DATEDIFF(CAST(COALESCE(`death_date`, `said_date`) AS DATE), CAST('1900-01-01' AS DATE)) AS `days`,
    COALESCE(`death_datetime`, `said_datetime`) AS `time`
  FROM `aged`
), `ranked` AS (
  SELECT
    `placed`.*,
    ROW_NUMBER() OVER (
      PARTITION BY `person_id`, `place`
      ORDER BY `source_number` NULLS LAST, `days` NULLS LAST, `time` DESC, `row_text` NULLS LAST
    ) AS `choice`,
    ROW_NUMBER() OVER (
      PARTITION BY `person_id`, `place` = 'aside'
      ORDER BY CASE WHEN `cause_source_value` IS NULL THEN 1 ELSE 0 END NULLS LAST, `source_number` NULLS LAST, `days` NULLS LAST, `time` DESC, `row_text` NULLS LAST
    ) AS `cause_choice`
  FROM `placed`
), `chosen` AS (
  SELECT
    `ranked`.*,
    MAX(CASE WHEN `place` = 'death' AND `choice` = 1 THEN `death_date` END) OVER (PARTITION BY `person_id`, `place` = 'aside') AS `chosen_date`
  FROM `ranked`
), `fated` AS (
  SELECT
    `chosen`.*,
    CASE
      WHEN `place` = 'aside'
      THEN 'quarantined'
      WHEN `place` = 'death' AND `choice` = 1
      THEN 'written'
      WHEN `chosen_date` IS NULL
      THEN 'excluded'
      ELSE 'merged'
    END AS `fate`
  FROM `chosen`
)
SELECT
  `fated`.`key_1`,
  `fated`.`key_2`,
  `fated`.`source_number`,
  `fated`.`person_id` AS `person_id`,
  `fated`.`death_date` AS `death_date`,
  `fated`.`death_datetime` AS `death_datetime`,
  `fated`.`death_type_concept_id` AS `death_type_concept_id`,
  CASE
    WHEN `fate` = 'written'
    THEN MAX(CASE WHEN `cause_choice` = 1 THEN `fated`.`cause_concept_id` END) OVER (PARTITION BY `person_id`, `place` = 'aside')
    ELSE `fated`.`cause_concept_id`
  END AS `cause_concept_id`,
  CASE
    WHEN `fate` = 'written'
    THEN MAX(CASE WHEN `cause_choice` = 1 THEN `fated`.`cause_source_value` END) OVER (PARTITION BY `person_id`, `place` = 'aside')
    ELSE `fated`.`cause_source_value`
  END AS `cause_source_value`,
  CASE
    WHEN `fate` = 'written'
    THEN MAX(CASE WHEN `cause_choice` = 1 THEN `fated`.`cause_source_concept_id` END) OVER (PARTITION BY `person_id`, `place` = 'aside')
    ELSE `fated`.`cause_source_concept_id`
  END AS `cause_source_concept_id`,
  `fated`.`fate` AS `row_fate`,
  CASE
    WHEN `fate` = 'excluded'
    THEN 'no source has the death'
    WHEN `fate` = 'merged'
    THEN CASE
      WHEN `place` = 'cause'
      THEN 'only says a cause'
      WHEN `death_date` = `chosen_date`
      THEN 'the same date of death'
      ELSE 'another date of death'
    END
    ELSE `reason`
  END AS `row_reason`
FROM `fated`;

-- write_death: write cdm.death from deaths

-- cdm.death becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`death` (
  `person_id`,
  `death_date`,
  `death_datetime`,
  `death_type_concept_id`,
  `cause_concept_id`,
  `cause_source_value`,
  `cause_source_concept_id`
)
SELECT
  `stage`.`person_id` AS `person_id`,
  `stage`.`death_date` AS `death_date`,
  `stage`.`death_datetime` AS `death_datetime`,
  `stage`.`death_type_concept_id` AS `death_type_concept_id`,
  `stage`.`cause_concept_id` AS `cause_concept_id`,
  CAST(LEFT(`stage`.`cause_source_value`, 50) AS STRING) AS `cause_source_value`,
  `stage`.`cause_source_concept_id` AS `cause_source_concept_id`
FROM `work`.`stage_deaths` AS `stage`
WHERE
  `stage`.`row_fate` = 'written';
