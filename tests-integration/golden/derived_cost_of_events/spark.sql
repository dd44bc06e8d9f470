-- stage_prices: stage the rows of the mapping prices

-- what the rows of prices are read from in several places
CREATE OR REPLACE TABLE `work`.`rows_prices`
USING DELTA AS
WITH `rows` AS (
  SELECT
    `events`.`source_key`,
    `events`.`cost_event_id`,
    `events`.`cost_domain_id`,
    `events`.`cost_type_concept_id`,
    `events`.`total_cost`,
    `events`.`priced_person_id`,
    `events`.`priced_date`,
    COALESCE(
      `events`.`row_reason`,
      CASE
        WHEN `events`.`cost_event_id` IS NULL
        THEN 'cost_event_id: unknown findings'
      END
    ) AS `row_reason`
  FROM (
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Condition' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'condition_occurrence' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`condition_concept_id` AS `order_3`,
            `rows`.`condition_start_date` AS `order_4`,
            `rows`.`condition_start_datetime` AS `order_5`,
            `rows`.`condition_type_concept_id` AS `order_6`,
            `rows`.`condition_source_value` AS `order_7`,
            `rows`.`condition_source_concept_id` AS `order_8`,
            `rows`.`stage__fan_out` AS `order_9`,
            `rows`.`stage__prices__total_cost` AS `order_10`,
            `rows`.`stage__prices__row_reason` AS `order_11`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Drug' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'drug_exposure' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
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
            `rows`.`stage__fan_out` AS `order_11`,
            `rows`.`stage__prices__total_cost` AS `order_12`,
            `rows`.`stage__prices__row_reason` AS `order_13`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST, `places`.`order_12` NULLS LAST, `places`.`order_13` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Procedure' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'procedure_occurrence' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`procedure_concept_id` AS `order_3`,
            `rows`.`procedure_date` AS `order_4`,
            `rows`.`procedure_datetime` AS `order_5`,
            `rows`.`procedure_type_concept_id` AS `order_6`,
            `rows`.`procedure_source_value` AS `order_7`,
            `rows`.`procedure_source_concept_id` AS `order_8`,
            `rows`.`stage__fan_out` AS `order_9`,
            `rows`.`stage__prices__total_cost` AS `order_10`,
            `rows`.`stage__prices__row_reason` AS `order_11`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Device' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'device_exposure' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`device_concept_id` AS `order_3`,
            `rows`.`device_exposure_start_date` AS `order_4`,
            `rows`.`device_exposure_start_datetime` AS `order_5`,
            `rows`.`device_type_concept_id` AS `order_6`,
            `rows`.`device_source_value` AS `order_7`,
            `rows`.`device_source_concept_id` AS `order_8`,
            `rows`.`stage__fan_out` AS `order_9`,
            `rows`.`stage__prices__total_cost` AS `order_10`,
            `rows`.`stage__prices__row_reason` AS `order_11`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Measurement' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'measurement' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`measurement_concept_id` AS `order_3`,
            `rows`.`measurement_date` AS `order_4`,
            `rows`.`measurement_datetime` AS `order_5`,
            `rows`.`measurement_type_concept_id` AS `order_6`,
            `rows`.`value_as_concept_id` AS `order_7`,
            `rows`.`measurement_source_value` AS `order_8`,
            `rows`.`measurement_source_concept_id` AS `order_9`,
            `rows`.`stage__fan_out` AS `order_10`,
            `rows`.`stage__prices__total_cost` AS `order_11`,
            `rows`.`stage__prices__row_reason` AS `order_12`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
              1 AS `mapping_number`,
              `stage`.`person_id` AS `person_id`,
              `stage`.`concept_id` AS `measurement_concept_id`,
              `stage`.`start_date` AS `measurement_date`,
              `stage`.`start_datetime` AS `measurement_datetime`,
              `stage`.`type_concept_id` AS `measurement_type_concept_id`,
              `stage`.`value_as_concept_id` AS `value_as_concept_id`,
              CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `measurement_source_value`,
              `stage`.`source_concept_id` AS `measurement_source_concept_id`
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST, `places`.`order_12` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Observation' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'observation' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`observation_concept_id` AS `order_3`,
            `rows`.`observation_date` AS `order_4`,
            `rows`.`observation_datetime` AS `order_5`,
            `rows`.`observation_type_concept_id` AS `order_6`,
            `rows`.`value_as_concept_id` AS `order_7`,
            `rows`.`observation_source_value` AS `order_8`,
            `rows`.`observation_source_concept_id` AS `order_9`,
            `rows`.`stage__fan_out` AS `order_10`,
            `rows`.`stage__prices__total_cost` AS `order_11`,
            `rows`.`stage__prices__row_reason` AS `order_12`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST, `places`.`order_11` NULLS LAST, `places`.`order_12` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS STRING) AS `source_key`,
      `rows`.`event_id` AS `cost_event_id`,
      'Specimen' AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `rows`.`stage__prices__total_cost` AS `total_cost`,
      `rows`.`stage__person_id` AS `priced_person_id`,
      `rows`.`stage__start_date` AS `priced_date`,
      `rows`.`stage__prices__row_reason` AS `row_reason`
    FROM (
      SELECT
        `numbered`.`event_id` AS `event_id`,
        'specimen' AS `event_table`,
        `numbered`.`stage__person_id`,
        `numbered`.`stage__prices__total_cost`,
        `numbered`.`stage__start_date`,
        `numbered`.`stage__prices__row_reason`,
        `numbered`.`stage__fan_out`
      FROM (
        WITH `numbered_rows` AS (
          SELECT
            `rows`.`stage__person_id`,
            `rows`.`stage__prices__total_cost`,
            `rows`.`stage__start_date`,
            `rows`.`stage__prices__row_reason`,
            `rows`.`stage__fan_out`,
            `rows`.`mapping_number` AS `order_1`,
            `rows`.`person_id` AS `order_2`,
            `rows`.`specimen_concept_id` AS `order_3`,
            `rows`.`specimen_type_concept_id` AS `order_4`,
            `rows`.`specimen_date` AS `order_5`,
            `rows`.`specimen_datetime` AS `order_6`,
            `rows`.`specimen_source_value` AS `order_7`,
            `rows`.`stage__fan_out` AS `order_8`,
            `rows`.`stage__prices__total_cost` AS `order_9`,
            `rows`.`stage__prices__row_reason` AS `order_10`
          FROM (
            SELECT
              `stage`.`person_id` AS `stage__person_id`,
              `stage`.`prices__total_cost` AS `stage__prices__total_cost`,
              `stage`.`start_date` AS `stage__start_date`,
              `stage`.`prices__row_reason` AS `stage__prices__row_reason`,
              `stage`.`fan_out` AS `stage__fan_out`,
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
            ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST, `places`.`order_4` NULLS LAST, `places`.`order_5` NULLS LAST, `places`.`order_6` NULLS LAST, `places`.`order_7` NULLS LAST, `places`.`order_8` NULLS LAST, `places`.`order_9` NULLS LAST, `places`.`order_10` NULLS LAST
          ) AS `event_id`,
          `places`.`stage__person_id`,
          `places`.`stage__prices__total_cost`,
          `places`.`stage__start_date`,
          `places`.`stage__prices__row_reason`,
          `places`.`stage__fan_out`
        FROM `numbered_places` AS `places`
        JOIN `numbered_before` AS `before`
          ON `before`.`bucket` = `places`.`bucket`
      ) AS `numbered`
    ) AS `rows`
    WHERE
      `rows`.`stage__fan_out` = 1 AND `rows`.`stage__prices__row_reason` IS NULL
    UNION ALL
    SELECT
      `stage`.`source_key` AS `source_key`,
      NULL AS `cost_event_id`,
      NULL AS `cost_domain_id`,
      32810 AS `cost_type_concept_id`,
      `stage`.`prices__total_cost` AS `total_cost`,
      `stage`.`person_id` AS `priced_person_id`,
      `stage`.`start_date` AS `priced_date`,
      `stage`.`prices__row_reason` AS `row_reason`
    FROM `work`.`stage_findings` AS `stage`
    WHERE
      `stage`.`fan_out` = 1
      AND (
        `stage`.`row_fate` = 'quarantined' OR NOT `stage`.`prices__row_reason` IS NULL
      )
  ) AS `events`
)
SELECT
  `rows`.`source_key`,
  `rows`.`cost_event_id`,
  `rows`.`cost_domain_id`,
  `rows`.`cost_type_concept_id`,
  `rows`.`total_cost`,
  `rows`.`priced_person_id`,
  `rows`.`priced_date`,
  CASE WHEN NOT `rows`.`row_reason` IS NULL THEN 'quarantined' ELSE 'written' END AS `row_fate`,
  `rows`.`row_reason`
FROM `rows`;

-- rows of prices, with the events of the same source rows
CREATE OR REPLACE TABLE `work`.`stage_prices`
USING DELTA AS
WITH `periods` AS (
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
FROM `work`.`rows_prices` AS `fated`
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
      FROM `work`.`rows_prices` AS `fated`
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
