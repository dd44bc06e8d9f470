-- stage_prices: stage the rows of the mapping prices

-- what the rows of prices are read from in several places
CREATE OR REPLACE TABLE `work`.`rows_prices`
USING DELTA AS
SELECT
  `e`.`patient` AS `key_1`,
  `e`.`code` AS `key_2`,
  `e`.`start` AS `key_3`,
  `visit_occurrence_key`.`visit_occurrence_id` AS `cost_event_id`,
  'Visit' AS `cost_domain_id`,
  32810 AS `cost_type_concept_id`,
  CASE
    WHEN CAST(`e`.`value` AS STRING) RLIKE '^[ \t\n\r\014\013]*[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]{1,3})?[ \t\n\r\014\013]*$'
    AND ABS(TRY_CAST(CAST(`e`.`value` AS STRING) AS DOUBLE)) <= 1.7976931348623157E308D
    THEN TRY_CAST(CAST(`e`.`value` AS STRING) AS DOUBLE)
  END AS `total_cost`,
  `person_key`.`person_id` AS `priced_person_id`,
  CAST(CASE
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
  END AS DATE) AS `priced_date`,
  CASE
    WHEN `visit_occurrence_key`.`visit_occurrence_id` IS NULL
    AND (
      NOT `e`.`patient` IS NULL OR NOT `e`.`start` IS NULL
    )
    THEN 'cost_event_id: unknown visit_occurrence'
    WHEN `visit_occurrence_key`.`visit_occurrence_id` IS NULL
    THEN 'cost_event_id: missing'
  END AS `row_reason`
FROM `source`.`events` AS `e`
LEFT JOIN `work`.`key_person` AS `person_key`
  ON `person_key`.`key_1` = `e`.`patient`
LEFT JOIN `work`.`key_visit_occurrence` AS `visit_occurrence_key`
  ON `visit_occurrence_key`.`key_1` IS NOT DISTINCT FROM `e`.`patient`
  AND `visit_occurrence_key`.`key_2` IS NOT DISTINCT FROM `e`.`start`;

-- rows of prices, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_prices`
USING DELTA AS
WITH `several` AS (
  SELECT
    `rows`.`cost_event_id`
  FROM `work`.`rows_prices` AS `rows`
  WHERE
    `row_reason` IS NULL
  GROUP BY
    `rows`.`cost_event_id`
  HAVING
    COUNT(*) > 1
), `parts` AS (
  SELECT
    `rows`.*,
    ROW_NUMBER() OVER (
      PARTITION BY `rows`.`cost_event_id`
      ORDER BY `rows`.`key_1` NULLS LAST, `rows`.`key_2` NULLS LAST, `rows`.`key_3` NULLS LAST, `rows`.`cost_event_id` NULLS LAST, `rows`.`cost_domain_id` NULLS LAST, `rows`.`cost_type_concept_id` NULLS LAST, `rows`.`total_cost` NULLS LAST
    ) AS `part`
  FROM `work`.`rows_prices` AS `rows`
  JOIN `several`
    ON `several`.`cost_event_id` = `rows`.`cost_event_id`
  WHERE
    `rows`.`row_reason` IS NULL
), `fated` AS (
  SELECT
    CASE
      WHEN NOT `rows`.`row_reason` IS NULL
      THEN COALESCE(`rows`.`key_1`, 'NULL') || ' | ' || COALESCE(`rows`.`key_2`, 'NULL') || ' | ' || COALESCE(`rows`.`key_3`, 'NULL')
    END AS `source_key`,
    `rows`.`cost_event_id`,
    `rows`.`cost_domain_id`,
    `rows`.`cost_type_concept_id`,
    `rows`.`total_cost`,
    `rows`.`priced_person_id`,
    `rows`.`priced_date`,
    CASE WHEN NOT `rows`.`row_reason` IS NULL THEN 'quarantined' ELSE 'written' END AS `row_fate`,
    `rows`.`row_reason`
  FROM `work`.`rows_prices` AS `rows`
  LEFT JOIN `several`
    ON `several`.`cost_event_id` = `rows`.`cost_event_id`
  WHERE
    `several`.`cost_event_id` IS NULL OR NOT `rows`.`row_reason` IS NULL
  UNION ALL
  SELECT
    CAST(NULL AS STRING) AS `source_key`,
    `rows`.`cost_event_id` AS `cost_event_id`,
    `rows`.`cost_domain_id` AS `cost_domain_id`,
    `rows`.`cost_type_concept_id` AS `cost_type_concept_id`,
    CAST(SUM(
      CASE
        WHEN CAST(`rows`.`total_cost` AS STRING) RLIKE '^[ \t\n\r\014\013]*[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)[ \t\n\r\014\013]*$'
        THEN TRY_CAST(TRY_CAST(CAST(`rows`.`total_cost` AS STRING) AS DECIMAL(38, 18)) AS DECIMAL(38, 6))
        WHEN CAST(`rows`.`total_cost` AS STRING) RLIKE '^[ \t\n\r\014\013]*[+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)[eE][+-]?[0-9]{1,3}[ \t\n\r\014\013]*$'
        THEN TRY_CAST(TRY_CAST(TRY_CAST(CAST(`rows`.`total_cost` AS STRING) AS DOUBLE) AS DECIMAL(38, 18)) AS DECIMAL(38, 6))
      END
    ) OVER (PARTITION BY `rows`.`cost_event_id`) AS DOUBLE) AS `total_cost`,
    `rows`.`priced_person_id`,
    `rows`.`priced_date`,
    CASE WHEN `rows`.`part` > 1 THEN 'merged' ELSE 'written' END AS `row_fate`,
    CASE WHEN `rows`.`part` > 1 THEN 'priced together with another row' END AS `row_reason`
  FROM `parts` AS `rows`
), `periods` AS (
  SELECT
    `person_id`,
    `payer_plan_period_start_date` AS `start_date`,
    MIN(`payer_plan_period_id`) AS `payer_plan_period_id`,
    MAX(`payer_plan_period_end_date`) AS `end_date`
  FROM `cdm`.`payer_plan_period`
  GROUP BY
    `person_id`,
    `payer_plan_period_start_date`
)
SELECT
  `fated`.`source_key`,
  `fated`.`cost_event_id`,
  `fated`.`cost_domain_id`,
  `fated`.`cost_type_concept_id`,
  `fated`.`total_cost`,
  CASE
    WHEN `fated`.`priced_date` <= `periods`.`end_date`
    THEN `periods`.`payer_plan_period_id`
  END AS `payer_plan_period_id`,
  `fated`.`row_fate`,
  `fated`.`row_reason`
FROM `fated`
LEFT JOIN (
  SELECT
    `row_by`,
    `moment`,
    `latest_at`
  FROM (
    SELECT
      `row_by`,
      `moment`,
      `is_row`,
      MAX(`latest_at`) OVER (
        PARTITION BY `row_by`
        ORDER BY `moment`, `is_row`
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS `latest_at`
    FROM (
      SELECT
        `priced_person_id` AS `row_by`,
        `priced_date` AS `moment`,
        1 AS `is_row`,
        NULL AS `latest_at`
      FROM `fated`
      UNION
      SELECT
        `person_id` AS `row_by`,
        `start_date` AS `moment`,
        0 AS `is_row`,
        `start_date` AS `latest_at`
      FROM `periods`
    ) AS `moments`
  ) AS `passed`
  WHERE
    `is_row` = 1
) AS `latest`
  ON `latest`.`row_by` = `fated`.`priced_person_id`
  AND `latest`.`moment` = `fated`.`priced_date`
LEFT JOIN `periods`
  ON `periods`.`person_id` = `latest`.`row_by`
  AND `periods`.`start_date` = `latest`.`latest_at`;

-- write_cost: write cdm.cost from prices

-- cdm.cost becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`cost` (
  `cost_id`,
  `cost_event_id`,
  `cost_domain_id`,
  `cost_type_concept_id`,
  `total_cost`,
  `payer_plan_period_id`,
  `currency_concept_id`,
  `total_charge`,
  `total_paid`,
  `paid_by_payer`,
  `paid_by_patient`,
  `paid_patient_copay`,
  `paid_patient_coinsurance`,
  `paid_patient_deductible`,
  `paid_by_primary`,
  `paid_ingredient_cost`,
  `paid_dispensing_fee`,
  `amount_allowed`,
  `revenue_code_concept_id`,
  `revenue_code_source_value`,
  `drg_concept_id`,
  `drg_source_value`
)
WITH `numbered_rows` AS (
  SELECT
    `rows`.`cost_event_id` AS `cost_event_id`,
    `rows`.`cost_domain_id` AS `cost_domain_id`,
    `rows`.`cost_type_concept_id` AS `cost_type_concept_id`,
    `rows`.`total_cost` AS `total_cost`,
    `rows`.`payer_plan_period_id` AS `payer_plan_period_id`,
    `rows`.`mapping_number` AS `order_1`,
    `rows`.`cost_event_id` AS `order_2`,
    `rows`.`cost_domain_id` AS `order_3`
  FROM (
    SELECT
      1 AS `mapping_number`,
      `stage`.`cost_event_id` AS `cost_event_id`,
      `stage`.`cost_domain_id` AS `cost_domain_id`,
      `stage`.`cost_type_concept_id` AS `cost_type_concept_id`,
      `stage`.`total_cost` AS `total_cost`,
      `stage`.`payer_plan_period_id` AS `payer_plan_period_id`
    FROM `work`.`stage_prices` AS `stage`
    WHERE
      `stage`.`row_fate` = 'written'
  ) AS `rows`
), `numbered_bounds` AS (
  SELECT
    CAST(MIN(`order_1`) AS BIGINT) AS `least_1`,
    LENGTH(HEX(CAST(MAX(`order_1`) AS BIGINT) - CAST(MIN(`order_1`) AS BIGINT))) AS `width_1`,
    CAST(MIN(`order_2`) AS BIGINT) AS `least_2`,
    LENGTH(HEX(CAST(MAX(`order_2`) AS BIGINT) - CAST(MIN(`order_2`) AS BIGINT))) AS `width_2`,
    SIZE(
      FILTER(
        SEQUENCE(0, LENGTH(COALESCE(MIN(`order_3`), ''))),
        `n` -> CAST(SUBSTRING(MIN(`order_3`), 1, `n`) AS STRING) = CAST(SUBSTRING(MAX(`order_3`), 1, `n`) AS STRING)
      )
    ) AS `differs_at_3`,
    COUNT(*) = COUNT(`order_3`) AND MIN(`order_3`) = MAX(`order_3`) AS `is_same_3`
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
          CASE
            WHEN `is_same_3`
            THEN ''
            ELSE COALESCE(
              RPAD(HEX(CAST(SUBSTRING(`order_3`, `differs_at_3`, 3) AS STRING)), 6, '0'),
              'GGGGGG'
            )
          END
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
  `filled`.`cost_id`,
  `filled`.`cost_event_id`,
  `filled`.`cost_domain_id`,
  `filled`.`cost_type_concept_id`,
  `filled`.`total_cost`,
  `filled`.`payer_plan_period_id`,
  CAST(NULL AS INT) AS `currency_concept_id`,
  CAST(NULL AS DOUBLE) AS `total_charge`,
  CAST(NULL AS DOUBLE) AS `total_paid`,
  CAST(NULL AS DOUBLE) AS `paid_by_payer`,
  CAST(NULL AS DOUBLE) AS `paid_by_patient`,
  CAST(NULL AS DOUBLE) AS `paid_patient_copay`,
  CAST(NULL AS DOUBLE) AS `paid_patient_coinsurance`,
  CAST(NULL AS DOUBLE) AS `paid_patient_deductible`,
  CAST(NULL AS DOUBLE) AS `paid_by_primary`,
  CAST(NULL AS DOUBLE) AS `paid_ingredient_cost`,
  CAST(NULL AS DOUBLE) AS `paid_dispensing_fee`,
  CAST(NULL AS DOUBLE) AS `amount_allowed`,
  CAST(NULL AS INT) AS `revenue_code_concept_id`,
  CAST(NULL AS STRING) AS `revenue_code_source_value`,
  CAST(NULL AS INT) AS `drg_concept_id`,
  CAST(NULL AS STRING) AS `drg_source_value`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST
    ) AS `cost_id`,
    `places`.`cost_event_id`,
    `places`.`cost_domain_id`,
    `places`.`cost_type_concept_id`,
    `places`.`total_cost`,
    `places`.`payer_plan_period_id`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `filled`;

-- for a later merge: the rows up to this id are of a full write
CREATE OR REPLACE TABLE `work`.`full_cost`
USING DELTA AS
SELECT
  MAX(`cost_id`) AS `last_id`
FROM `cdm`.`cost`;
