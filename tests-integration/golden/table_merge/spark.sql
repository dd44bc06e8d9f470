-- stage_places: stage the rows of the mapping places

-- rows of places, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_places`
USING DELTA AS
SELECT
  `rows`.*,
  CASE
    WHEN NOT `rows`.`row_reason` IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY `rows`.`key_1`, `rows`.`row_reason` IS NULL
      ORDER BY `rows`.`city` NULLS LAST, `rows`.`location_source_value` NULLS LAST
    ) = 1
    THEN 'written'
    ELSE 'merged'
  END AS `row_fate`
FROM (
  SELECT
    `p`.`city` AS `key_1`,
    `p`.`city` AS `city`,
    CASE `p`.`kind`
      WHEN 'open'
      THEN 'yes'
      WHEN 'closed'
      THEN 'no'
      ELSE CAST(NULL AS STRING)
    END AS `location_source_value`,
    CASE WHEN `p`.`city` IS NULL THEN 'location_id: missing' END AS `row_reason`
  FROM `source`.`places` AS `p`
) AS `rows`;

-- write_location: write cdm.location from places

-- ids of location: a registry that only grows
CREATE TABLE IF NOT EXISTS `work`.`registry_location` (
  `location_id` BIGINT NOT NULL,
  `key_1` STRING
)
USING DELTA;

-- the natural key of cdm.location has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.location and drop work.registry_location and work.key_location
SELECT
  `location_id`,
  `key_1`
FROM `work`.`registry_location`
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM `work`.`registry_location`
WHERE
  FALSE;

-- new keys get the next ids, in the order of the keys
INSERT INTO `work`.`registry_location` (
  `location_id`,
  `key_1`
)
WITH `numbered_rows` AS (
  SELECT
    `present`.`key_1`,
    `present`.`key_1` AS `order_1`
  FROM (
    SELECT DISTINCT
      `stage`.`key_1`
    FROM `work`.`stage_places` AS `stage`
    WHERE
      `stage`.`row_fate` = 'written'
  ) AS `present`
  WHERE
    NOT EXISTS(
      SELECT
        1
      FROM `work`.`registry_location` AS `registry`
      WHERE
        `registry`.`key_1` = `present`.`key_1`
    )
), `numbered_bounds` AS (
  SELECT
    SIZE(
      FILTER(
        SEQUENCE(0, LENGTH(COALESCE(MIN(`order_1`), ''))),
        `n` -> CAST(SUBSTRING(MIN(`order_1`), 1, `n`) AS STRING) = CAST(SUBSTRING(MAX(`order_1`), 1, `n`) AS STRING)
      )
    ) AS `differs_at_1`,
    COUNT(*) = COUNT(`order_1`) AND MIN(`order_1`) = MAX(`order_1`) AS `is_same_1`
  FROM `numbered_rows`
), `numbered_places` AS (
  SELECT
    `numbered_rows`.*,
    CAST(SUBSTRING(
      CASE
        WHEN `is_same_1`
        THEN ''
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
      COALESCE(MAX(`location_id`), 0)
    FROM `work`.`registry_location`
  ) + `numbered`.`key_number`,
  `numbered`.`key_1`
FROM (
  SELECT
    `before`.`row_count` + ROW_NUMBER() OVER (PARTITION BY `places`.`bucket` ORDER BY `places`.`order_1` NULLS LAST) AS `key_number`,
    `places`.`key_1`
  FROM `numbered_places` AS `places`
  JOIN `numbered_before` AS `before`
    ON `before`.`bucket` = `places`.`bucket`
) AS `numbered`;

-- the keys of this run, with their ids
CREATE OR REPLACE TABLE `work`.`key_location`
USING DELTA AS
SELECT
  `registry`.`location_id`,
  `registry`.`key_1`
FROM (
  SELECT DISTINCT
    `stage`.`key_1`
  FROM `work`.`stage_places` AS `stage`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `present`
JOIN `work`.`registry_location` AS `registry`
  ON `registry`.`key_1` = `present`.`key_1`;

-- cdm.location becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`location` (
  `location_id`,
  `city`,
  `location_source_value`,
  `address_1`,
  `address_2`,
  `state`,
  `zip`,
  `county`,
  `country_concept_id`,
  `country_source_value`,
  `latitude`,
  `longitude`
)
SELECT
  `filled`.`location_id`,
  `filled`.`city`,
  `filled`.`location_source_value`,
  CAST(NULL AS STRING) AS `address_1`,
  CAST(NULL AS STRING) AS `address_2`,
  CAST(NULL AS STRING) AS `state`,
  CAST(NULL AS STRING) AS `zip`,
  CAST(NULL AS STRING) AS `county`,
  CAST(NULL AS INT) AS `country_concept_id`,
  CAST(NULL AS STRING) AS `country_source_value`,
  CAST(NULL AS DOUBLE) AS `latitude`,
  CAST(NULL AS DOUBLE) AS `longitude`
FROM (
  SELECT
    `present`.`location_id` AS `location_id`,
    CAST(LEFT(`stage`.`city`, 50) AS STRING) AS `city`,
    `stage`.`location_source_value` AS `location_source_value`
  FROM `work`.`stage_places` AS `stage`
  JOIN `work`.`key_location` AS `present`
    ON `present`.`key_1` = `stage`.`key_1`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `filled`;

-- cdm.location has rows with the same location_id
SELECT
  `location_id`,
  COUNT(*) AS `row_count`
FROM `cdm`.`location`
GROUP BY
  `location_id`
HAVING
  COUNT(*) > 1;
