-- stage_enrollment: stage the rows of the mapping enrollment

-- what the rows of enrollment are read from in several places
CREATE OR REPLACE TABLE `work`.`rows_enrollment`
USING DELTA AS
SELECT
  `e`.`patient` AS `key_1`,
  `e`.`start` AS `key_2`,
  `person_key`.`person_id` AS `person_id`,
  CASE
    WHEN LENGTH(`e`.`system`) = 4
    THEN `read`.`value`
    WHEN LENGTH(`e`.`system`) = 7
    THEN `read`.`value_2`
    ELSE CAST(`read`.`system` AS DATE)
  END AS `payer_plan_period_start_date`,
  CAST(`read`.`stop` AS DATE) AS `payer_plan_period_end_date`,
  `e`.`place` AS `payer_source_value`,
  `e`.`value` AS `stop_reason_source_value`,
  CASE
    WHEN COALESCE(`e`.`patient`, `e`.`start`) IS NULL
    THEN 'payer_plan_period_id: missing'
    WHEN `person_key`.`person_id` IS NULL AND NOT `e`.`patient` IS NULL
    THEN 'person_id: unknown person'
    WHEN `person_key`.`person_id` IS NULL
    THEN 'person_id: missing'
    WHEN CASE
      WHEN LENGTH(`e`.`system`) = 4
      THEN `read`.`value`
      WHEN LENGTH(`e`.`system`) = 7
      THEN `read`.`value_2`
      ELSE CAST(`read`.`system` AS DATE)
    END IS NULL
    AND NOT `e`.`system` IS NULL
    THEN 'payer_plan_period_start_date: unreadable'
    WHEN CASE
      WHEN LENGTH(`e`.`system`) = 4
      THEN `read`.`value`
      WHEN LENGTH(`e`.`system`) = 7
      THEN `read`.`value_2`
      ELSE CAST(`read`.`system` AS DATE)
    END IS NULL
    THEN 'payer_plan_period_start_date: missing'
    WHEN CAST(`read`.`stop` AS DATE) IS NULL
    AND (
      NOT `e`.`stop` IS NULL AND CAST(`read`.`stop` AS DATE) IS NULL
    )
    THEN 'payer_plan_period_end_date: unreadable'
    WHEN CAST(`read`.`stop` AS DATE) IS NULL
    THEN 'payer_plan_period_end_date: missing'
    WHEN CAST(`read`.`stop` AS DATE) < CASE
      WHEN LENGTH(`e`.`system`) = 4
      THEN `read`.`value`
      WHEN LENGTH(`e`.`system`) = 7
      THEN `read`.`value_2`
      ELSE CAST(`read`.`system` AS DATE)
    END
    THEN 'payer_plan_period_end_date: before the start'
  END AS `row_reason`
FROM `source`.`events` AS `e`
LEFT JOIN `work`.`key_person` AS `person_key`
  ON `person_key`.`key_1` = `e`.`patient`
CROSS JOIN LATERAL (
  SELECT
    CASE
      WHEN CAST(`e`.`system` || '-01-01' AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}$'
      THEN TRY_CAST(CAST(`e`.`system` || '-01-01' AS STRING) AS DATE)
      ELSE CAST((
        TRY_CAST(CONCAT(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              CAST(`e`.`system` || '-01-01' AS STRING),
              '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
              '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
            ),
            '([- :])0{1,2}([0-9]{2})',
            '$1$2'
          ),
          '0'
        ) AS TIMESTAMP_NTZ) + CASE
          WHEN CAST(`e`.`system` || '-01-01' AS STRING) RLIKE '[^0-9:]24:00'
          THEN INTERVAL '1' DAY
          ELSE INTERVAL '0' DAY
        END
      ) AS DATE)
    END AS `value`,
    CASE
      WHEN CAST(`e`.`system` || '-01' AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}$'
      THEN TRY_CAST(CAST(`e`.`system` || '-01' AS STRING) AS DATE)
      ELSE CAST((
        TRY_CAST(CONCAT(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              CAST(`e`.`system` || '-01' AS STRING),
              '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
              '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
            ),
            '([- :])0{1,2}([0-9]{2})',
            '$1$2'
          ),
          '0'
        ) AS TIMESTAMP_NTZ) + CASE
          WHEN CAST(`e`.`system` || '-01' AS STRING) RLIKE '[^0-9:]24:00'
          THEN INTERVAL '1' DAY
          ELSE INTERVAL '0' DAY
        END
      ) AS DATE)
    END AS `value_2`,
    CASE
      WHEN CAST(`e`.`system` AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?$'
      THEN TRY_CAST(CAST(`e`.`system` AS STRING) AS TIMESTAMP_NTZ)
      ELSE (
        TRY_CAST(CONCAT(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              CAST(`e`.`system` AS STRING),
              '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
              '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
            ),
            '([- :])0{1,2}([0-9]{2})',
            '$1$2'
          ),
          '0'
        ) AS TIMESTAMP_NTZ) + CASE
          WHEN CAST(`e`.`system` AS STRING) RLIKE '[^0-9:]24:00'
          THEN INTERVAL '1' DAY
          ELSE INTERVAL '0' DAY
        END
      )
    END AS `system`,
    CASE
      WHEN CAST(`e`.`stop` AS STRING) RLIKE '^(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?$'
      THEN TRY_CAST(CAST(`e`.`stop` AS STRING) AS TIMESTAMP_NTZ)
      ELSE (
        TRY_CAST(CONCAT(
          REGEXP_REPLACE(
            REGEXP_REPLACE(
              CAST(`e`.`stop` AS STRING),
              '(?s)^[ \t\n\r\014\013]*((?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]))(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2}))(?:(?:T|[ \t\n\r\014\013]+)(?:([01]?[0-9]|2[0-3]):([0-5]?[0-9])(?::([0-5]?[0-9])(?:[.]([0-9]{0,6})[0-9]*)?(?: UTC|Z|[+-](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?)?[ \t\n\r\014\013]*)?|24:00(?::00)?)?)?$|^.*$',
              '$1-00$2$4-00$3$5 00$6:00$7:00$8.$9'
            ),
            '([- :])0{1,2}([0-9]{2})',
            '$1$2'
          ),
          '0'
        ) AS TIMESTAMP_NTZ) + CASE
          WHEN CAST(`e`.`stop` AS STRING) RLIKE '[^0-9:]24:00'
          THEN INTERVAL '1' DAY
          ELSE INTERVAL '0' DAY
        END
      )
    END AS `stop`
) AS `read`;

-- rows of enrollment, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_enrollment`
USING DELTA AS
WITH `plans` AS (
  SELECT
    `each`.`payer_source_value`,
    ROW_NUMBER() OVER (ORDER BY `each`.`payer_source_value` NULLS LAST) AS `plan_number`
  FROM (
    SELECT DISTINCT
      `rows`.`payer_source_value`
    FROM `work`.`rows_enrollment` AS `rows`
  ) AS `each`
), `planned` AS (
  SELECT
    `rows`.`person_id`,
    `rows`.`payer_plan_period_start_date` AS `first_date`,
    `rows`.`payer_plan_period_end_date` AS `last_date`,
    `plans`.`plan_number`,
    `rows`.`row_reason` IS NULL AS `is_valid`,
    `rows`.`stop_reason_source_value`
  FROM `work`.`rows_enrollment` AS `rows`
  JOIN `plans`
    ON `plans`.`payer_source_value` IS NOT DISTINCT FROM `rows`.`payer_source_value`
), `ranked` AS (
  SELECT
    `planned`.*,
    ROW_NUMBER() OVER (
      PARTITION BY `planned`.`person_id`
      ORDER BY `planned`.`first_date` NULLS LAST, `planned`.`last_date` DESC, `planned`.`plan_number` NULLS LAST, `planned`.`stop_reason_source_value` NULLS LAST
    ) AS `row_rank`,
    MAX(CASE WHEN `planned`.`is_valid` THEN `planned`.`last_date` END) OVER (
      PARTITION BY `planned`.`person_id`
      ORDER BY `planned`.`first_date` NULLS LAST, `planned`.`last_date` DESC, `planned`.`plan_number` NULLS LAST, `planned`.`stop_reason_source_value` NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS `reached_date`
  FROM `planned`
), `lasting` AS (
  SELECT
    `person_id`,
    `plan_number`,
    `row_rank`,
    `first_date`,
    `last_date`,
    `reached_date`,
    LAG(`plan_number`) OVER (PARTITION BY `person_id` ORDER BY `row_rank` NULLS LAST) AS `earlier_plan`,
    MAX(`last_date`) OVER (PARTITION BY `person_id`) AS `final_date`
  FROM `ranked`
  WHERE
    `is_valid` AND (
      `reached_date` IS NULL OR `last_date` > `reached_date`
    )
), `begun` AS (
  SELECT
    `person_id`,
    `plan_number`,
    `row_rank`,
    `first_date`,
    `reached_date`,
    `final_date`
  FROM `lasting`
  WHERE
    NOT TRUE
    OR `earlier_plan` IS NULL
    OR `earlier_plan` <> `plan_number`
    OR DATEDIFF(CAST(`first_date` AS DATE), CAST(`reached_date` AS DATE)) > 1
), `uncut` AS (
  SELECT
    `person_id`,
    `plan_number`,
    `row_rank`,
    `first_date`,
    COALESCE(
      LEAD(`reached_date`) OVER (PARTITION BY `person_id` ORDER BY `row_rank` NULLS LAST),
      `final_date`
    ) AS `reached_date`,
    LEAD(`first_date`) OVER (PARTITION BY `person_id` ORDER BY `row_rank` NULLS LAST) AS `next_date`
  FROM `begun`
), `periods` AS (
  SELECT
    `person_id`,
    `plan_number`,
    `row_rank`,
    `first_date`,
    `reached_date`,
    CASE
      WHEN `next_date` <= `reached_date`
      THEN CAST(`next_date` - MAKE_INTERVAL(0, 0, 0, 1) AS DATE)
      ELSE `reached_date`
    END AS `last_date`
  FROM `uncut`
), `lasts` AS (
  SELECT
    `person_id`,
    `plan_number`,
    `last_date`,
    MAX(`row_rank`) AS `row_rank`
  FROM `lasting`
  GROUP BY
    `person_id`,
    `plan_number`,
    `last_date`
)
SELECT
  CAST(NULL AS STRING) AS `key_1`,
  CAST(NULL AS STRING) AS `key_2`,
  `periods`.`person_id` AS `person_id`,
  `periods`.`first_date` AS `payer_plan_period_start_date`,
  `periods`.`last_date` AS `payer_plan_period_end_date`,
  `plans`.`payer_source_value`,
  CASE
    WHEN NOT `periods`.`row_rank` IS NULL
    THEN `last_row`.`stop_reason_source_value`
  END AS `stop_reason_source_value`,
  CASE WHEN `periods`.`row_rank` IS NULL THEN 'merged' ELSE 'written' END AS `row_fate`,
  CASE
    WHEN `ranked`.`last_date` <= `ranked`.`reached_date` AND TRUE
    THEN 'lies within another period'
    WHEN `periods`.`row_rank` IS NULL
    THEN 'continues a period'
  END AS `row_reason`
FROM `ranked`
LEFT JOIN `periods`
  ON `periods`.`person_id` = `ranked`.`person_id`
  AND `periods`.`row_rank` = `ranked`.`row_rank`
LEFT JOIN `plans`
  ON `plans`.`plan_number` = `periods`.`plan_number`
LEFT JOIN `lasts`
  ON `lasts`.`person_id` = `periods`.`person_id`
  AND `lasts`.`plan_number` = `periods`.`plan_number`
  AND `lasts`.`last_date` = `periods`.`reached_date`
LEFT JOIN `ranked` AS `last_row`
  ON `last_row`.`person_id` = `lasts`.`person_id`
  AND `last_row`.`row_rank` = `lasts`.`row_rank`
WHERE
  `ranked`.`is_valid`
UNION ALL
SELECT
  `rows`.`key_1`,
  `rows`.`key_2`,
  NULL AS `person_id`,
  NULL AS `payer_plan_period_start_date`,
  NULL AS `payer_plan_period_end_date`,
  NULL AS `payer_source_value`,
  NULL AS `stop_reason_source_value`,
  'quarantined' AS `row_fate`,
  `rows`.`row_reason`
FROM `work`.`rows_enrollment` AS `rows`
WHERE
  NOT `row_reason` IS NULL;

-- write_payer_plan_period: write cdm.payer_plan_period from enrollment

-- cdm.payer_plan_period becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`payer_plan_period` (
  `payer_plan_period_id`,
  `person_id`,
  `payer_plan_period_start_date`,
  `payer_plan_period_end_date`,
  `payer_source_value`,
  `stop_reason_source_value`,
  `payer_concept_id`,
  `payer_source_concept_id`,
  `plan_concept_id`,
  `plan_source_value`,
  `plan_source_concept_id`,
  `sponsor_concept_id`,
  `sponsor_source_value`,
  `sponsor_source_concept_id`,
  `family_source_value`,
  `stop_reason_concept_id`,
  `stop_reason_source_concept_id`
)
WITH `numbered_rows` AS (
  SELECT
    `rows`.`person_id` AS `person_id`,
    `rows`.`payer_plan_period_start_date` AS `payer_plan_period_start_date`,
    `rows`.`payer_plan_period_end_date` AS `payer_plan_period_end_date`,
    `rows`.`payer_source_value` AS `payer_source_value`,
    `rows`.`stop_reason_source_value` AS `stop_reason_source_value`,
    `rows`.`mapping_number` AS `order_1`,
    `rows`.`person_id` AS `order_2`,
    `rows`.`payer_plan_period_start_date` AS `order_3`
  FROM (
    SELECT
      1 AS `mapping_number`,
      `stage`.`person_id` AS `person_id`,
      `stage`.`payer_plan_period_start_date` AS `payer_plan_period_start_date`,
      `stage`.`payer_plan_period_end_date` AS `payer_plan_period_end_date`,
      CAST(LEFT(`stage`.`payer_source_value`, 50) AS STRING) AS `payer_source_value`,
      CAST(LEFT(`stage`.`stop_reason_source_value`, 50) AS STRING) AS `stop_reason_source_value`
    FROM `work`.`stage_enrollment` AS `stage`
    WHERE
      `stage`.`row_fate` = 'written'
  ) AS `rows`
), `numbered_bounds` AS (
  SELECT
    CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
    LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
    CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
    LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`
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
        COALESCE(
          LPAD(HEX(CAST(`order_2` AS BIGINT) - `least_2`), `width_2`, '0'),
          REPEAT('G', `width_2`),
          'G'
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
  `filled`.`payer_plan_period_id`,
  `filled`.`person_id`,
  `filled`.`payer_plan_period_start_date`,
  `filled`.`payer_plan_period_end_date`,
  `filled`.`payer_source_value`,
  `filled`.`stop_reason_source_value`,
  CAST(NULL AS INT) AS `payer_concept_id`,
  CAST(NULL AS INT) AS `payer_source_concept_id`,
  CAST(NULL AS INT) AS `plan_concept_id`,
  CAST(NULL AS STRING) AS `plan_source_value`,
  CAST(NULL AS INT) AS `plan_source_concept_id`,
  CAST(NULL AS INT) AS `sponsor_concept_id`,
  CAST(NULL AS STRING) AS `sponsor_source_value`,
  CAST(NULL AS INT) AS `sponsor_source_concept_id`,
  CAST(NULL AS STRING) AS `family_source_value`,
  CAST(NULL AS INT) AS `stop_reason_concept_id`,
  CAST(NULL AS INT) AS `stop_reason_source_concept_id`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST
    ) AS `payer_plan_period_id`,
    `places`.`person_id`,
    `places`.`payer_plan_period_start_date`,
    `places`.`payer_plan_period_end_date`,
    `places`.`payer_source_value`,
    `places`.`stop_reason_source_value`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `filled`;

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE `work`.`full_payer_plan_period`
USING DELTA AS
SELECT
  MAX(`payer_plan_period_id`) AS `last_id`
FROM `cdm`.`payer_plan_period`;
