-- stage_places: stage the rows of the mapping places

-- codes of places and their concepts
CREATE OR REPLACE TABLE `work`.`codes_places`
USING DELTA AS
WITH `used` AS (
  SELECT
    'place_of_service' AS `role`,
    'Visit, Own' AS `vocabulary`,
    'Visit' AS `vocabulary_id`,
    1 AS `preference`,
    'Visit' AS `domain_id`,
    `p`.`kind` AS `code`,
    COUNT(*) AS `source_rows`
  FROM `source`.`places` AS `p`
  WHERE
    `p`.`kind` <> 'closed' AND NOT `p`.`kind` IS NULL
  GROUP BY
    `p`.`kind`
  UNION ALL
  SELECT
    'place_of_service' AS `role`,
    'Visit, Own' AS `vocabulary`,
    'Own' AS `vocabulary_id`,
    2 AS `preference`,
    'Visit' AS `domain_id`,
    `p`.`kind` AS `code`,
    COUNT(*) AS `source_rows`
  FROM `source`.`places` AS `p`
  WHERE
    `p`.`kind` <> 'closed' AND NOT `p`.`kind` IS NULL
  GROUP BY
    `p`.`kind`
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

-- rows of places, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_places`
USING DELTA AS
SELECT
  `rows`.*,
  CASE
    WHEN NOT `rows`.`row_reason` IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY `rows`.`key_1`, `rows`.`key_2`, `rows`.`row_reason` IS NULL
      ORDER BY `rows`.`care_site_name` NULLS LAST, `rows`.`place_of_service_concept_id` NULLS LAST, `rows`.`care_site_source_value` NULLS LAST
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END AS `row_fate`
FROM (
  SELECT
    `p`.`city` AS `key_1`,
    `p`.`name` AS `key_2`,
    `p`.`name` AS `care_site_name`,
    CASE
      WHEN `p`.`kind` IS NULL
      THEN NULL
      ELSE COALESCE(`place_of_service_code`.`concept_id`, 0)
    END AS `place_of_service_concept_id`,
    CAST(`p`.`city` || ', ' || `p`.`name` AS STRING) AS `care_site_source_value`,
    CASE WHEN COALESCE(`p`.`city`, `p`.`name`) IS NULL THEN 'care_site_id: missing' END AS `row_reason`
  FROM `source`.`places` AS `p`
  LEFT JOIN `work`.`codes_places` AS `place_of_service_code`
    ON `place_of_service_code`.`role` = 'place_of_service'
    AND `place_of_service_code`.`vocabulary` = 'Visit, Own'
    AND `place_of_service_code`.`code` = `p`.`kind`
    AND `place_of_service_code`.`fan_out` = 1
  WHERE
    `p`.`kind` <> 'closed'
) AS `rows`;

-- write_care_site: write cdm.care_site from places

-- ids of care_site: a registry that only grows
CREATE TABLE IF NOT EXISTS `work`.`registry_care_site` (
  `care_site_id` BIGINT NOT NULL,
  `key_1` STRING,
  `key_2` STRING
)
USING DELTA;

-- the natural key of cdm.care_site has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.care_site and drop work.registry_care_site and work.key_care_site
SELECT
  `care_site_id`,
  `key_1`,
  `key_2`
FROM `work`.`registry_care_site`
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM `work`.`registry_care_site`
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO `work`.`registry_care_site` (
  `care_site_id`,
  `key_1`,
  `key_2`
)
WITH `numbered_rows` AS (
  SELECT
    `present`.`key_1`,
    `present`.`key_2`,
    `present`.`key_1` AS `order_1`,
    `present`.`key_2` AS `order_2`
  FROM (
    SELECT DISTINCT
      `stage`.`key_1`,
      `stage`.`key_2`
    FROM `work`.`stage_places` AS `stage`
    WHERE
      `stage`.`row_fate` = 'written'
  ) AS `present`
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM `work`.`registry_care_site` AS `registry`
      WHERE
        `registry`.`key_1` IS NOT DISTINCT FROM `present`.`key_1`
        AND `registry`.`key_2` IS NOT DISTINCT FROM `present`.`key_2`
    )
), `numbered_bounds` AS (
  SELECT
    SIZE(
      FILTER(
        SEQUENCE(0, LENGTH(COALESCE(MIN(`order_1`), ''))),
        `n` -> CAST(SUBSTRING(MIN(`order_1`), 1, `n`) AS STRING) = CAST(SUBSTRING(MAX(`order_1`), 1, `n`) AS STRING)
      )
    ) AS `differs_at_1`,
    COUNT(*) = COUNT(`order_1`) AND MIN(`order_1`) = MAX(`order_1`) AS `is_same_1`,
    SIZE(
      FILTER(
        SEQUENCE(0, LENGTH(COALESCE(MIN(`order_2`), ''))),
        `n` -> CAST(SUBSTRING(MIN(`order_2`), 1, `n`) AS STRING) = CAST(SUBSTRING(MAX(`order_2`), 1, `n`) AS STRING)
      )
    ) AS `differs_at_2`,
    COUNT(*) = COUNT(`order_2`) AND MIN(`order_2`) = MAX(`order_2`) AS `is_same_2`
  FROM `numbered_rows`
), `numbered_places` AS (
  SELECT
    `numbered_rows`.*,
    CAST(SUBSTRING(
      CASE
        WHEN `is_same_1`
        THEN CASE
          WHEN `is_same_2`
          THEN ''
          ELSE COALESCE(
            RPAD(HEX(CAST(SUBSTRING(`order_2`, `differs_at_2`, 3) AS STRING)), 6, '0'),
            'GGGGGG'
          )
        END
        ELSE COALESCE(
          RPAD(HEX(CAST(SUBSTRING(`order_1`, `differs_at_1`, 3) AS STRING)), 6, '0'),
          'GGGGGG'
        )
      END,
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
  (
    SELECT
      COALESCE(MAX(`care_site_id`), 0)
    FROM `work`.`registry_care_site`
  ) + `numbered`.`key_number`,
  `numbered`.`key_1`,
  `numbered`.`key_2`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (
      PARTITION BY `places`.`bucket`
      ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST
    ) AS `key_number`,
    `places`.`key_1`,
    `places`.`key_2`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `numbered`;

-- the keys of this run, with their ids
CREATE OR REPLACE TABLE `work`.`key_care_site`
USING DELTA AS
SELECT
  `registry`.`care_site_id`,
  `registry`.`key_1`,
  `registry`.`key_2`
FROM (
  SELECT DISTINCT
    `stage`.`key_1`,
    `stage`.`key_2`
  FROM `work`.`stage_places` AS `stage`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `present`
JOIN `work`.`registry_care_site` AS `registry`
  ON `registry`.`key_1` IS NOT DISTINCT FROM `present`.`key_1`
  AND `registry`.`key_2` IS NOT DISTINCT FROM `present`.`key_2`;

-- cdm.care_site becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`care_site` (
  `care_site_id`,
  `care_site_name`,
  `place_of_service_concept_id`,
  `care_site_source_value`,
  `location_id`,
  `place_of_service_source_value`
)
SELECT
  `filled`.`care_site_id`,
  `filled`.`care_site_name`,
  `filled`.`place_of_service_concept_id`,
  `filled`.`care_site_source_value`,
  CAST(NULL AS INT) AS `location_id`,
  CAST(NULL AS STRING) AS `place_of_service_source_value`
FROM (
  SELECT
    `present`.`care_site_id` AS `care_site_id`,
    CAST(LEFT(`stage`.`care_site_name`, 255) AS STRING) AS `care_site_name`,
    `stage`.`place_of_service_concept_id` AS `place_of_service_concept_id`,
    CAST(LEFT(`stage`.`care_site_source_value`, 50) AS STRING) AS `care_site_source_value`
  FROM `work`.`stage_places` AS `stage`
  JOIN `work`.`key_care_site` AS `present`
    ON `present`.`key_1` IS NOT DISTINCT FROM `stage`.`key_1`
    AND `present`.`key_2` IS NOT DISTINCT FROM `stage`.`key_2`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `filled`;

-- cdm.care_site has rows with the same care_site_id
SELECT
  `care_site_id`,
  COUNT(*) AS `row_count`
FROM `cdm`.`care_site`
GROUP BY
  `care_site_id`
HAVING
  COUNT(*) > 1;
