-- stage_ends: stage the rows of the mapping ends

-- rows of ends, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_ends`
USING DELTA AS
SELECT
  `rows`.*,
  CASE
    WHEN NOT `rows`.`row_reason` IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY `rows`.`key_1`, `rows`.`row_reason` IS NULL
      ORDER BY `rows`.`person_id` NULLS LAST, `rows`.`death_date` NULLS LAST, `rows`.`death_type_concept_id` NULLS LAST, `rows`.`cause_source_value` NULLS LAST
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END AS `row_fate`
FROM (
  SELECT
    `e`.`patient` AS `key_1`,
    `person_key`.`person_id` AS `person_id`,
    CAST(`read`.`start` AS DATE) AS `death_date`,
    32817 AS `death_type_concept_id`,
    `p`.`kind` AS `cause_source_value`,
    CASE
      WHEN `person_key`.`person_id` IS NULL AND NOT `e`.`patient` IS NULL
      THEN 'person_id: unknown person'
      WHEN `person_key`.`person_id` IS NULL
      THEN 'person_id: missing'
      WHEN CAST(`read`.`start` AS DATE) IS NULL
      AND (
        NOT `e`.`start` IS NULL AND `read`.`start` IS NULL
      )
      THEN 'death_date: unreadable'
      WHEN CAST(`read`.`start` AS DATE) IS NULL
      THEN 'death_date: missing'
    END AS `row_reason`
  FROM `source`.`events` AS `e`
  LEFT JOIN `source`.`places` AS `p`
    ON `p`.`name` = `e`.`place`
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
) AS `rows`;

-- the mapping ends says that at most one row of source.places joins as 'p' (mappings/2.yaml:6), but the join makes more rows; extra rows
SELECT
  `joined`.`row_count` - `alone`.`row_count` AS `extra_rows`
FROM (
  SELECT
    COUNT(*) AS `row_count`
  FROM `work`.`stage_ends` AS `stage`
) AS `joined`
CROSS JOIN (
  SELECT
    COUNT(*) AS `row_count`
  FROM `source`.`events` AS `e`
) AS `alone`
WHERE
  `joined`.`row_count` > `alone`.`row_count`;

-- write_death: write cdm.death from ends

-- cdm.death becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`death` (
  `person_id`,
  `death_date`,
  `death_type_concept_id`,
  `cause_source_value`,
  `death_datetime`,
  `cause_concept_id`,
  `cause_source_concept_id`
)
SELECT
  `filled`.`person_id`,
  `filled`.`death_date`,
  `filled`.`death_type_concept_id`,
  `filled`.`cause_source_value`,
  CAST(NULL AS TIMESTAMP_NTZ) AS `death_datetime`,
  CAST(NULL AS INT) AS `cause_concept_id`,
  CAST(NULL AS INT) AS `cause_source_concept_id`
FROM (
  SELECT
    `stage`.`person_id` AS `person_id`,
    `stage`.`death_date` AS `death_date`,
    `stage`.`death_type_concept_id` AS `death_type_concept_id`,
    CAST(LEFT(`stage`.`cause_source_value`, 50) AS STRING) AS `cause_source_value`
  FROM `work`.`stage_ends` AS `stage`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `filled`;
