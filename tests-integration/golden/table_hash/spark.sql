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
      PARTITION BY `rows`.`key_1`, `rows`.`key_2`, `rows`.`row_reason` IS NULL
      ORDER BY `rows`.`care_site_name` NULLS LAST
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END AS `row_fate`
FROM (
  SELECT
    `p`.`city` AS `key_1`,
    `p`.`name` AS `key_2`,
    `p`.`name` AS `care_site_name`,
    CASE WHEN COALESCE(`p`.`city`, `p`.`name`) IS NULL THEN 'care_site_id: missing' END AS `row_reason`
  FROM `source`.`places` AS `p`
) AS `rows`;

-- write_care_site: write cdm.care_site from places

-- the keys of this run, with their ids
CREATE OR REPLACE TABLE `work`.`key_care_site`
USING DELTA AS
SELECT
  (
    CAST(CONV(
      CAST(SUBSTRING(
        MD5(
          COALESCE(REPLACE(REPLACE(`present`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`present`.`key_2`, '~', '~~'), '|', '~|'), '~N')
        ),
        1,
        8
      ) AS STRING),
      16,
      10
    ) AS BIGINT) * 2147483648 + SHIFTRIGHT(
      CAST(CONV(
        CAST(SUBSTRING(
          MD5(
            COALESCE(REPLACE(REPLACE(`present`.`key_1`, '~', '~~'), '|', '~|'), '~N') || '|' || COALESCE(REPLACE(REPLACE(`present`.`key_2`, '~', '~~'), '|', '~|'), '~N')
          ),
          9,
          8
        ) AS STRING),
        16,
        10
      ) AS BIGINT),
      1
    )
  ) AS `care_site_id`,
  `present`.`key_1`,
  `present`.`key_2`
FROM (
  SELECT DISTINCT
    `stage`.`key_1`,
    `stage`.`key_2`
  FROM `work`.`stage_places` AS `stage`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `present`;

-- two natural keys of cdm.care_site have the same hash; use `strategy: registry`
SELECT
  `care_site_id`,
  COUNT(*) AS `row_count`
FROM `work`.`key_care_site`
GROUP BY
  `care_site_id`
HAVING
  COUNT(*) > 1;

-- cdm.care_site becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`care_site` (
  `care_site_id`,
  `care_site_name`,
  `place_of_service_concept_id`,
  `location_id`,
  `care_site_source_value`,
  `place_of_service_source_value`
)
SELECT
  `filled`.`care_site_id`,
  `filled`.`care_site_name`,
  CAST(NULL AS INT) AS `place_of_service_concept_id`,
  CAST(NULL AS INT) AS `location_id`,
  CAST(NULL AS STRING) AS `care_site_source_value`,
  CAST(NULL AS STRING) AS `place_of_service_source_value`
FROM (
  SELECT
    `present`.`care_site_id` AS `care_site_id`,
    CAST(LEFT(`stage`.`care_site_name`, 255) AS STRING) AS `care_site_name`
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
