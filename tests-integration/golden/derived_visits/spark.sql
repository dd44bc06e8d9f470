-- stage_visits: stage the rows of the mapping visits

-- what the rows of visits are read from in several places
CREATE OR REPLACE TABLE `work`.`rows_visits`
USING DELTA AS
WITH `rows` AS (
  WITH `rows` AS (
    SELECT
      `e`.`patient` AS `key_1`,
      `e`.`code` AS `key_2`,
      `person_key`.`person_id` AS `person_id`,
      `e`.`system` AS `source_value`,
      CAST(`read`.`start` AS DATE) AS `start_date`,
      `read`.`start` AS `start_datetime`,
      CAST(`read`.`stop` AS DATE) AS `end_date`,
      CAST(CAST(`read`.`stop` AS DATE) AS TIMESTAMP_NTZ) AS `end_datetime`,
      `e`.`place` AS `discharged_to_source_value`,
      CASE
        WHEN COALESCE(`e`.`patient`, `e`.`code`) IS NULL
        THEN 'key: missing'
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
        END AS `start`,
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
    ) AS `read`
  ), `repeated` AS (
    SELECT
      `key_1`,
      `key_2`,
      COUNT(*) AS `row_count`
    FROM `rows`
    WHERE
      `row_reason` IS NULL
    GROUP BY
      `key_1`,
      `key_2`
    HAVING
      COUNT(*) > 1
  ), `counted` AS (
    SELECT
      `rows`.`key_1`,
      `rows`.`key_2`,
      `rows`.`person_id`,
      `rows`.`source_value`,
      `rows`.`start_date`,
      `rows`.`start_datetime`,
      `rows`.`end_date`,
      `rows`.`end_datetime`,
      `rows`.`discharged_to_source_value`,
      `rows`.`row_reason`,
      1 AS `occurrence`
    FROM `rows`
    LEFT JOIN `repeated`
      ON `repeated`.`key_1` IS NOT DISTINCT FROM `rows`.`key_1`
      AND `repeated`.`key_2` IS NOT DISTINCT FROM `rows`.`key_2`
      AND `rows`.`row_reason` IS NULL
    WHERE
      `repeated`.`row_count` IS NULL
    UNION ALL
    SELECT
      `rows`.`key_1`,
      `rows`.`key_2`,
      `rows`.`person_id`,
      `rows`.`source_value`,
      `rows`.`start_date`,
      `rows`.`start_datetime`,
      `rows`.`end_date`,
      `rows`.`end_datetime`,
      `rows`.`discharged_to_source_value`,
      `rows`.`row_reason`,
      ROW_NUMBER() OVER (
        PARTITION BY `rows`.`key_1`, `rows`.`key_2`
        ORDER BY `rows`.`person_id` NULLS LAST, `rows`.`source_value` NULLS LAST, `rows`.`start_date` NULLS LAST, `rows`.`start_datetime` NULLS LAST, `rows`.`end_date` NULLS LAST, `rows`.`end_datetime` NULLS LAST, `rows`.`discharged_to_source_value` NULLS LAST
      ) AS `occurrence`
    FROM `rows`
    JOIN `repeated`
      ON `repeated`.`key_1` IS NOT DISTINCT FROM `rows`.`key_1`
      AND `repeated`.`key_2` IS NOT DISTINCT FROM `rows`.`key_2`
    WHERE
      `rows`.`row_reason` IS NULL
  )
  SELECT
    `counted`.`key_1`,
    `counted`.`key_2`,
    `counted`.`person_id`,
    `counted`.`source_value`,
    `counted`.`start_date`,
    `counted`.`start_datetime`,
    CASE
      WHEN `counted`.`end_datetime` > `counted`.`start_datetime`
      THEN `counted`.`end_date`
      ELSE `counted`.`start_date`
    END AS `end_date`,
    CASE
      WHEN `counted`.`end_datetime` > `counted`.`start_datetime`
      THEN `counted`.`end_datetime`
      ELSE `counted`.`start_datetime`
    END AS `end_datetime`,
    `counted`.`discharged_to_source_value`,
    `counted`.`row_reason`,
    CASE
      WHEN NOT `counted`.`row_reason` IS NULL
      THEN 'quarantined'
      WHEN `counted`.`occurrence` = 1
      THEN 'written'
      ELSE 'quarantined'
    END AS `row_fate`
  FROM `counted`
)
SELECT
  `key_1`,
  `key_2`,
  `person_id`,
  `source_value`,
  `start_date`,
  `start_datetime`,
  `end_date`,
  `end_datetime`,
  `discharged_to_source_value`,
  `row_reason`,
  `row_fate`,
  CASE WHEN `row_fate` = 'written' THEN `person_id` END AS `of_person`
FROM `rows`;

-- rows of visits, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_visits`
USING DELTA AS
WITH `staying` AS (
  SELECT
    `person_id`,
    `start_date`,
    `end_date`,
    CASE
      WHEN `source_value` = 'inpatient'
      THEN 1
      WHEN `source_value` = 'nursing'
      THEN 2
    END AS `class_rank`
  FROM `work`.`rows_visits` AS `encounters`
  WHERE
    NOT `of_person` IS NULL
    AND (
      COALESCE(`source_value` IN ('inpatient', 'nursing'), FALSE)
      OR `end_date` > `start_date`
    )
), `placed` AS (
  SELECT
    `person_id`,
    `start_date`,
    `end_date`,
    `class_rank`,
    SUM(
      CASE
        WHEN DATEDIFF(CAST(`start_date` AS DATE), CAST(`reached_date` AS DATE)) <= 1
        THEN 0
        ELSE 1
      END
    ) OVER (
      PARTITION BY `person_id`
      ORDER BY `start_date` NULLS LAST, `end_date` NULLS LAST
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `stay_number`
  FROM (
    SELECT
      `person_id`,
      `start_date`,
      `end_date`,
      `class_rank`,
      MAX(`end_date`) OVER (
        PARTITION BY `person_id`
        ORDER BY `start_date` NULLS LAST, `end_date` NULLS LAST
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) AS `reached_date`
    FROM `staying`
  ) AS `reached`
), `stays` AS (
  SELECT
    `person_id`,
    `stay_number`,
    MIN(`start_date`) AS `first_date`,
    MAX(`end_date`) AS `last_date`,
    MIN(`class_rank`) AS `class_rank`
  FROM `placed`
  GROUP BY
    `person_id`,
    `stay_number`
), `met` AS (
  SELECT
    `encounters`.`key_1`,
    `encounters`.`key_2`,
    `encounters`.`person_id`,
    `encounters`.`source_value`,
    `encounters`.`start_date`,
    `encounters`.`start_datetime`,
    `encounters`.`end_date`,
    `encounters`.`end_datetime`,
    `encounters`.`discharged_to_source_value`,
    `encounters`.`row_reason`,
    `encounters`.`row_fate`,
    `encounters`.`of_person`,
    CASE
      WHEN `encounters`.`end_date` <= `stays`.`last_date`
      THEN `stays`.`stay_number`
    END AS `stay_number`,
    `stays`.`first_date`,
    `stays`.`class_rank`
  FROM `work`.`rows_visits` AS `encounters`
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
          `of_person` AS `row_by`,
          `start_date` AS `moment`,
          1 AS `is_row`,
          NULL AS `latest_at`
        FROM `work`.`rows_visits` AS `encounters`
        UNION
        SELECT
          `person_id` AS `row_by`,
          `first_date` AS `moment`,
          0 AS `is_row`,
          `first_date` AS `latest_at`
        FROM `stays`
      ) AS `moments`
    ) AS `passed`
    WHERE
      `is_row` = 1
  ) AS `latest`
    ON `latest`.`row_by` = `encounters`.`of_person`
    AND `latest`.`moment` = `encounters`.`start_date`
  LEFT JOIN `stays`
    ON `stays`.`person_id` = `latest`.`row_by`
    AND `stays`.`first_date` = `latest`.`latest_at`
), `numbered` AS (
  SELECT
    `key_1`,
    `key_2`,
    `person_id`,
    `source_value`,
    `start_date`,
    `start_datetime`,
    `end_date`,
    `end_datetime`,
    `discharged_to_source_value`,
    `row_reason`,
    `row_fate`,
    `of_person`,
    CASE `source_value`
      WHEN 'inpatient'
      THEN 9201
      WHEN 'nursing'
      THEN 42898160
      WHEN 'emergency'
      THEN 9203
      WHEN 'ambulatory'
      THEN 9202
      ELSE 0
    END AS `concept_id`,
    ROW_NUMBER() OVER (
      PARTITION BY `of_person`
      ORDER BY `start_datetime` NULLS LAST, `end_datetime` NULLS LAST, `key_1` NULLS LAST, `key_2` NULLS LAST
    ) AS `encounter_number`,
    CASE WHEN NOT `stay_number` IS NULL THEN `class_rank` END AS `class_rank`,
    CASE
      WHEN NOT `stay_number` IS NULL
      AND `start_date` = `first_date`
      AND COALESCE(`source_value` IN ('emergency'), FALSE)
      THEN 1
      ELSE 0
    END AS `is_emergency`,
    CASE
      WHEN NOT `stay_number` IS NULL
      THEN -1
      WHEN COALESCE(`source_value` IN ('ambulatory', 'emergency'), FALSE)
      THEN CASE `source_value`
        WHEN 'inpatient'
        THEN 9201
        WHEN 'nursing'
        THEN 42898160
        WHEN 'emergency'
        THEN 9203
        WHEN 'ambulatory'
        THEN 9202
        ELSE 0
      END
    END AS `visit_kind`,
    CASE
      WHEN NOT `stay_number` IS NULL
      THEN `stay_number`
      ELSE DATEDIFF(CAST(`start_date` AS DATE), CAST('1970-01-01' AS DATE))
    END AS `visit_part`
  FROM `met`
), `ended` AS (
  SELECT
    `of_person`,
    `encounter_number`,
    `end_datetime`,
    `is_emergency`,
    `visit_kind`,
    `visit_part`,
    ROW_NUMBER() OVER (
      PARTITION BY `of_person`, `visit_kind`, `visit_part`
      ORDER BY `end_datetime` DESC, `encounter_number` DESC
    ) AS `from_last`
  FROM `numbered`
  WHERE
    NOT `of_person` IS NULL AND NOT `visit_kind` IS NULL
), `visits` AS (
  SELECT
    `of_person`,
    `visit_kind`,
    `visit_part`,
    MIN(`encounter_number`) AS `visit_number`,
    MAX(`end_datetime`) AS `visit_end_datetime`,
    MAX(`is_emergency`) AS `is_emergency`,
    MAX(CASE WHEN `from_last` = 1 THEN `encounter_number` END) AS `last_number`
  FROM `ended`
  WHERE
    NOT `of_person` IS NULL AND NOT `visit_kind` IS NULL
  GROUP BY
    `of_person`,
    `visit_kind`,
    `visit_part`
  HAVING
    COUNT(*) > 1
)
SELECT
  `numbered`.`key_1`,
  `numbered`.`key_2`,
  `numbered`.`person_id`,
  `numbered`.`source_value`,
  `numbered`.`start_date`,
  `numbered`.`start_datetime`,
  `numbered`.`end_date`,
  `numbered`.`end_datetime`,
  `numbered`.`discharged_to_source_value`,
  `numbered`.`row_reason`,
  `numbered`.`row_fate`,
  `numbered`.`concept_id`,
  `numbered`.`encounter_number`,
  CASE
    WHEN `numbered`.`row_fate` = 'written'
    THEN COALESCE(`visits`.`visit_number`, `numbered`.`encounter_number`)
  END AS `visit_number`,
  CASE
    WHEN `numbered`.`visit_kind` = -1
    THEN CASE
      WHEN `numbered`.`class_rank` = 2
      THEN 42898160
      ELSE CASE
        WHEN COALESCE(`visits`.`is_emergency`, `numbered`.`is_emergency`) = 1
        THEN 262
        ELSE 9201
      END
    END
    ELSE `numbered`.`concept_id`
  END AS `visit_concept_id`,
  CASE
    WHEN `numbered`.`class_rank` = 1
    THEN 'inpatient'
    WHEN `numbered`.`class_rank` = 2
    THEN 'nursing'
    ELSE `numbered`.`source_value`
  END AS `visit_source_value`,
  CAST(COALESCE(`visits`.`visit_end_datetime`, `numbered`.`end_datetime`) AS DATE) AS `visit_end_date`,
  COALESCE(`visits`.`visit_end_datetime`, `numbered`.`end_datetime`) AS `visit_end_datetime`,
  `last`.`discharged_to_source_value` AS `visit_discharged_to_source_value`,
  32827 AS `type_concept_id`,
  CAST(NULL AS BIGINT) AS `provider_id`,
  CAST(NULL AS BIGINT) AS `care_site_id`,
  CAST(NULL AS INT) AS `admitted_from_concept_id`,
  CAST(NULL AS STRING) AS `admitted_from_source_value`,
  CAST(NULL AS INT) AS `discharged_to_concept_id`
FROM `numbered`
LEFT JOIN `visits`
  ON `visits`.`of_person` = `numbered`.`of_person`
  AND `visits`.`visit_kind` = `numbered`.`visit_kind`
  AND `visits`.`visit_part` = `numbered`.`visit_part`
LEFT JOIN `numbered` AS `last`
  ON `last`.`of_person` = `numbered`.`of_person`
  AND `last`.`encounter_number` = COALESCE(`visits`.`last_number`, `numbered`.`encounter_number`);

-- keys_visit_occurrence: ids of cdm.visit_occurrence from visits

-- ids of visit_occurrence: a registry that only grows
CREATE TABLE IF NOT EXISTS `work`.`registry_visit_occurrence` (
  `visit_occurrence_id` BIGINT NOT NULL,
  `key_1` STRING,
  `key_2` STRING
)
USING DELTA;

-- the natural key of cdm.visit_occurrence has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.visit_occurrence and drop work.registry_visit_occurrence and work.key_visit_occurrence
SELECT
  `visit_occurrence_id`,
  `key_1`,
  `key_2`
FROM `work`.`registry_visit_occurrence`
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM `work`.`registry_visit_occurrence`
WHERE
  FALSE;

-- the groups of this run: new ones get next ids
CREATE OR REPLACE TABLE `work`.`group_visit_occurrence`
USING DELTA AS
SELECT
  `numbered`.`visit_occurrence_id`,
  `numbered`.`person_id`,
  `numbered`.`visit_number`,
  LAG(`numbered`.`visit_occurrence_id`) OVER (PARTITION BY `numbered`.`person_id` ORDER BY `numbered`.`visit_number` NULLS LAST) AS `preceding_id`
FROM (
  SELECT
    COALESCE(
      `each`.`known_id`,
      (
        SELECT
          COALESCE(MAX(`visit_occurrence_id`), 0)
        FROM `work`.`registry_visit_occurrence`
      ) + `each`.`group_number`
    ) AS `visit_occurrence_id`,
    `each`.`person_id`,
    `each`.`visit_number`
  FROM (
    WITH `numbered_rows` AS (
      SELECT
        `registered`.`visit_occurrence_id` AS `known_id`,
        `stage`.`person_id`,
        `stage`.`visit_number`,
        CASE WHEN `registered`.`visit_occurrence_id` IS NULL THEN 0 ELSE 1 END AS `order_1`,
        `stage`.`person_id` AS `order_2`,
        `stage`.`visit_number` AS `order_3`
      FROM `work`.`stage_visits` AS `stage`
      LEFT JOIN (
        SELECT
          `stage`.`person_id`,
          `stage`.`visit_number`,
          MIN(`registry`.`visit_occurrence_id`) AS `visit_occurrence_id`
        FROM `work`.`stage_visits` AS `stage`
        JOIN `work`.`registry_visit_occurrence` AS `registry`
          ON `registry`.`key_1` IS NOT DISTINCT FROM `stage`.`key_1`
          AND `registry`.`key_2` IS NOT DISTINCT FROM `stage`.`key_2`
        WHERE
          `stage`.`row_fate` = 'written'
        GROUP BY
          `stage`.`person_id`,
          `stage`.`visit_number`
      ) AS `registered`
        ON `registered`.`person_id` = `stage`.`person_id`
        AND `registered`.`visit_number` = `stage`.`visit_number`
      WHERE
        `stage`.`row_fate` = 'written'
        AND `stage`.`encounter_number` = `stage`.`visit_number`
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
        ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST
      ) AS `group_number`,
      `places`.`known_id`,
      `places`.`person_id`,
      `places`.`visit_number`
    FROM `numbered_places` AS `places`
    JOIN `numbered_before` AS `before`
      ON `before`.`bucket` = `places`.`bucket`
  ) AS `each`
) AS `numbered`;

-- the keys of new groups are remembered
INSERT INTO `work`.`registry_visit_occurrence` (
  `visit_occurrence_id`,
  `key_1`,
  `key_2`
)
SELECT
  `present`.`visit_occurrence_id`,
  `stage`.`key_1`,
  `stage`.`key_2`
FROM `work`.`stage_visits` AS `stage`
JOIN `work`.`group_visit_occurrence` AS `present`
  ON `present`.`person_id` = `stage`.`person_id`
  AND `present`.`visit_number` = `stage`.`visit_number`
WHERE
  `stage`.`row_fate` = 'written'
  AND `stage`.`encounter_number` = `stage`.`visit_number`
  AND `present`.`visit_occurrence_id` > (
    SELECT
      COALESCE(MAX(`visit_occurrence_id`), 0)
    FROM `work`.`registry_visit_occurrence`
  );

-- write_visit_occurrence: write cdm.visit_occurrence from visits

-- cdm.visit_occurrence becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`visit_occurrence` (
  `visit_occurrence_id`,
  `person_id`,
  `visit_concept_id`,
  `visit_start_date`,
  `visit_start_datetime`,
  `visit_end_date`,
  `visit_end_datetime`,
  `visit_type_concept_id`,
  `provider_id`,
  `care_site_id`,
  `visit_source_value`,
  `discharged_to_source_value`,
  `preceding_visit_occurrence_id`,
  `visit_source_concept_id`,
  `admitted_from_concept_id`,
  `admitted_from_source_value`,
  `discharged_to_concept_id`
)
SELECT
  `filled`.`visit_occurrence_id`,
  `filled`.`person_id`,
  `filled`.`visit_concept_id`,
  `filled`.`visit_start_date`,
  `filled`.`visit_start_datetime`,
  `filled`.`visit_end_date`,
  `filled`.`visit_end_datetime`,
  `filled`.`visit_type_concept_id`,
  `filled`.`provider_id`,
  `filled`.`care_site_id`,
  `filled`.`visit_source_value`,
  `filled`.`discharged_to_source_value`,
  `filled`.`preceding_visit_occurrence_id`,
  CAST(NULL AS INT) AS `visit_source_concept_id`,
  CAST(NULL AS INT) AS `admitted_from_concept_id`,
  CAST(NULL AS STRING) AS `admitted_from_source_value`,
  CAST(NULL AS INT) AS `discharged_to_concept_id`
FROM (
  SELECT
    `present`.`visit_occurrence_id` AS `visit_occurrence_id`,
    `stage`.`person_id` AS `person_id`,
    `stage`.`visit_concept_id` AS `visit_concept_id`,
    `stage`.`start_date` AS `visit_start_date`,
    `stage`.`start_datetime` AS `visit_start_datetime`,
    `stage`.`visit_end_date` AS `visit_end_date`,
    `stage`.`visit_end_datetime` AS `visit_end_datetime`,
    `stage`.`type_concept_id` AS `visit_type_concept_id`,
    `stage`.`provider_id` AS `provider_id`,
    `stage`.`care_site_id` AS `care_site_id`,
    CAST(LEFT(`stage`.`visit_source_value`, 50) AS STRING) AS `visit_source_value`,
    CAST(LEFT(`stage`.`visit_discharged_to_source_value`, 50) AS STRING) AS `discharged_to_source_value`,
    `present`.`preceding_id` AS `preceding_visit_occurrence_id`
  FROM `work`.`stage_visits` AS `stage`
  JOIN `work`.`group_visit_occurrence` AS `present`
    ON `present`.`person_id` = `stage`.`person_id`
    AND `present`.`visit_number` = `stage`.`visit_number`
  WHERE
    `stage`.`row_fate` = 'written'
    AND `stage`.`encounter_number` = `stage`.`visit_number`
) AS `filled`;

-- cdm.visit_occurrence has rows with the same visit_occurrence_id
SELECT
  `visit_occurrence_id`,
  COUNT(*) AS `row_count`
FROM `cdm`.`visit_occurrence`
GROUP BY
  `visit_occurrence_id`
HAVING
  COUNT(*) > 1;

-- keys_visit_detail: ids of cdm.visit_detail from visits

-- ids of visit_detail: a registry that only grows
CREATE TABLE IF NOT EXISTS `work`.`registry_visit_detail` (
  `visit_detail_id` BIGINT NOT NULL,
  `key_1` STRING,
  `key_2` STRING
)
USING DELTA;

-- the natural key of cdm.visit_detail has more or fewer parts than when its ids were given; give it back the old ones, or begin anew with other ids: empty cdm.visit_detail and drop work.registry_visit_detail and work.key_visit_detail
SELECT
  `visit_detail_id`,
  `key_1`,
  `key_2`
FROM `work`.`registry_visit_detail`
WHERE
  FALSE
UNION ALL
SELECT
  *
FROM `work`.`registry_visit_detail`
WHERE
  FALSE;

-- the groups of this run: new ones get next ids
CREATE OR REPLACE TABLE `work`.`group_visit_detail`
USING DELTA AS
SELECT
  `numbered`.`visit_detail_id`,
  `numbered`.`person_id`,
  `numbered`.`encounter_number`,
  LAG(`numbered`.`visit_detail_id`) OVER (
    PARTITION BY `numbered`.`person_id`
    ORDER BY `numbered`.`encounter_number` NULLS LAST
  ) AS `preceding_id`
FROM (
  SELECT
    COALESCE(
      `each`.`known_id`,
      (
        SELECT
          COALESCE(MAX(`visit_detail_id`), 0)
        FROM `work`.`registry_visit_detail`
      ) + `each`.`group_number`
    ) AS `visit_detail_id`,
    `each`.`person_id`,
    `each`.`encounter_number`
  FROM (
    WITH `numbered_rows` AS (
      SELECT
        `registered`.`visit_detail_id` AS `known_id`,
        `stage`.`person_id`,
        `stage`.`encounter_number`,
        CASE WHEN `registered`.`visit_detail_id` IS NULL THEN 0 ELSE 1 END AS `order_1`,
        `stage`.`person_id` AS `order_2`,
        `stage`.`encounter_number` AS `order_3`
      FROM `work`.`stage_visits` AS `stage`
      LEFT JOIN (
        SELECT
          `stage`.`person_id`,
          `stage`.`encounter_number`,
          `registry`.`visit_detail_id`
        FROM `work`.`stage_visits` AS `stage`
        JOIN `work`.`registry_visit_detail` AS `registry`
          ON `registry`.`key_1` IS NOT DISTINCT FROM `stage`.`key_1`
          AND `registry`.`key_2` IS NOT DISTINCT FROM `stage`.`key_2`
        WHERE
          `stage`.`row_fate` = 'written'
      ) AS `registered`
        ON `registered`.`person_id` = `stage`.`person_id`
        AND `registered`.`encounter_number` = `stage`.`encounter_number`
      WHERE
        `stage`.`row_fate` = 'written'
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
        ORDER BY `places`.`order_1` NULLS LAST, `places`.`order_2` NULLS LAST, `places`.`order_3` NULLS LAST
      ) AS `group_number`,
      `places`.`known_id`,
      `places`.`person_id`,
      `places`.`encounter_number`
    FROM `numbered_places` AS `places`
    JOIN `numbered_before` AS `before`
      ON `before`.`bucket` = `places`.`bucket`
  ) AS `each`
) AS `numbered`;

-- the keys of new groups are remembered
INSERT INTO `work`.`registry_visit_detail` (
  `visit_detail_id`,
  `key_1`,
  `key_2`
)
SELECT
  `present`.`visit_detail_id`,
  `stage`.`key_1`,
  `stage`.`key_2`
FROM `work`.`stage_visits` AS `stage`
JOIN `work`.`group_visit_detail` AS `present`
  ON `present`.`person_id` = `stage`.`person_id`
  AND `present`.`encounter_number` = `stage`.`encounter_number`
WHERE
  `stage`.`row_fate` = 'written'
  AND `present`.`visit_detail_id` > (
    SELECT
      COALESCE(MAX(`visit_detail_id`), 0)
    FROM `work`.`registry_visit_detail`
  );

-- the keys of this run, with the ids of their groups
CREATE OR REPLACE TABLE `work`.`key_visit_detail`
USING DELTA AS
SELECT
  `present`.`visit_detail_id`,
  `stage`.`key_1`,
  `stage`.`key_2`,
  `visit`.`visit_occurrence_id` AS `visit_occurrence_id`
FROM `work`.`stage_visits` AS `stage`
JOIN `work`.`group_visit_detail` AS `present`
  ON `present`.`person_id` = `stage`.`person_id`
  AND `present`.`encounter_number` = `stage`.`encounter_number`
JOIN `work`.`group_visit_occurrence` AS `visit`
  ON `visit`.`person_id` = `stage`.`person_id`
  AND `visit`.`visit_number` = `stage`.`visit_number`
WHERE
  `stage`.`row_fate` = 'written';

-- write_visit_detail: write cdm.visit_detail from visits

-- cdm.visit_detail becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`visit_detail` (
  `visit_detail_id`,
  `person_id`,
  `visit_detail_concept_id`,
  `visit_detail_start_date`,
  `visit_detail_start_datetime`,
  `visit_detail_end_date`,
  `visit_detail_end_datetime`,
  `visit_detail_type_concept_id`,
  `provider_id`,
  `care_site_id`,
  `visit_detail_source_value`,
  `discharged_to_source_value`,
  `preceding_visit_detail_id`,
  `visit_occurrence_id`,
  `visit_detail_source_concept_id`,
  `admitted_from_concept_id`,
  `admitted_from_source_value`,
  `discharged_to_concept_id`,
  `parent_visit_detail_id`
)
SELECT
  `filled`.`visit_detail_id`,
  `filled`.`person_id`,
  `filled`.`visit_detail_concept_id`,
  `filled`.`visit_detail_start_date`,
  `filled`.`visit_detail_start_datetime`,
  `filled`.`visit_detail_end_date`,
  `filled`.`visit_detail_end_datetime`,
  `filled`.`visit_detail_type_concept_id`,
  `filled`.`provider_id`,
  `filled`.`care_site_id`,
  `filled`.`visit_detail_source_value`,
  `filled`.`discharged_to_source_value`,
  `filled`.`preceding_visit_detail_id`,
  `filled`.`visit_occurrence_id`,
  CAST(NULL AS INT) AS `visit_detail_source_concept_id`,
  CAST(NULL AS INT) AS `admitted_from_concept_id`,
  CAST(NULL AS STRING) AS `admitted_from_source_value`,
  CAST(NULL AS INT) AS `discharged_to_concept_id`,
  CAST(NULL AS INT) AS `parent_visit_detail_id`
FROM (
  SELECT
    `present`.`visit_detail_id` AS `visit_detail_id`,
    `stage`.`person_id` AS `person_id`,
    `stage`.`concept_id` AS `visit_detail_concept_id`,
    `stage`.`start_date` AS `visit_detail_start_date`,
    `stage`.`start_datetime` AS `visit_detail_start_datetime`,
    `stage`.`end_date` AS `visit_detail_end_date`,
    `stage`.`end_datetime` AS `visit_detail_end_datetime`,
    `stage`.`type_concept_id` AS `visit_detail_type_concept_id`,
    `stage`.`provider_id` AS `provider_id`,
    `stage`.`care_site_id` AS `care_site_id`,
    CAST(LEFT(`stage`.`source_value`, 50) AS STRING) AS `visit_detail_source_value`,
    CAST(LEFT(`stage`.`discharged_to_source_value`, 50) AS STRING) AS `discharged_to_source_value`,
    `present`.`preceding_id` AS `preceding_visit_detail_id`,
    `visit`.`visit_occurrence_id` AS `visit_occurrence_id`
  FROM `work`.`stage_visits` AS `stage`
  JOIN `work`.`group_visit_detail` AS `present`
    ON `present`.`person_id` = `stage`.`person_id`
    AND `present`.`encounter_number` = `stage`.`encounter_number`
  JOIN `work`.`group_visit_occurrence` AS `visit`
    ON `visit`.`person_id` = `stage`.`person_id`
    AND `visit`.`visit_number` = `stage`.`visit_number`
  WHERE
    `stage`.`row_fate` = 'written'
) AS `filled`;

-- cdm.visit_detail has rows with the same visit_detail_id
SELECT
  `visit_detail_id`,
  COUNT(*) AS `row_count`
FROM `cdm`.`visit_detail`
GROUP BY
  `visit_detail_id`
HAVING
  COUNT(*) > 1;
