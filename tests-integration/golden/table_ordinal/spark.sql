-- stage_notes: stage the rows of the mapping notes

-- rows of notes, typed and resolved
CREATE OR REPLACE TABLE `work`.`stage_notes`
USING DELTA AS
SELECT
  `rows`.*,
  CASE
    WHEN NOT `rows`.`row_reason` IS NULL
    THEN 'quarantined'
    WHEN ROW_NUMBER() OVER (
      PARTITION BY `rows`.`key_1`, `rows`.`key_2`, `rows`.`row_reason` IS NULL
      ORDER BY `rows`.`domain_concept_id_1` NULLS LAST, `rows`.`fact_id_1` NULLS LAST, `rows`.`domain_concept_id_2` NULLS LAST, `rows`.`fact_id_2` NULLS LAST, `rows`.`relationship_concept_id` NULLS LAST
    ) = 1
    THEN 'written'
    ELSE 'quarantined'
  END AS `row_fate`
FROM (
  SELECT
    `p`.`name` AS `key_1`,
    `q`.`name` AS `key_2`,
    1 AS `domain_concept_id_1`,
    7 AS `fact_id_1`,
    2 AS `domain_concept_id_2`,
    CAST(LENGTH(`q`.`name`) AS INT) AS `fact_id_2`,
    0 AS `relationship_concept_id`,
    CASE
      WHEN CAST(LENGTH(`q`.`name`) AS INT) IS NULL AND NOT LENGTH(`q`.`name`) IS NULL
      THEN 'fact_id_2: unreadable'
      WHEN CAST(LENGTH(`q`.`name`) AS INT) IS NULL
      THEN 'fact_id_2: missing'
    END AS `row_reason`
  FROM `source`.`places` AS `p`
  LEFT JOIN `source`.`places` AS `q`
    ON `q`.`city` = `p`.`city`
) AS `rows`;

-- write_fact_relationship: write cdm.fact_relationship from notes

-- cdm.fact_relationship becomes the union of its mappings
INSERT OVERWRITE TABLE `cdm`.`fact_relationship` (
  `domain_concept_id_1`,
  `fact_id_1`,
  `domain_concept_id_2`,
  `fact_id_2`,
  `relationship_concept_id`
)
SELECT
  `stage`.`domain_concept_id_1` AS `domain_concept_id_1`,
  `stage`.`fact_id_1` AS `fact_id_1`,
  `stage`.`domain_concept_id_2` AS `domain_concept_id_2`,
  `stage`.`fact_id_2` AS `fact_id_2`,
  `stage`.`relationship_concept_id` AS `relationship_concept_id`
FROM `work`.`stage_notes` AS `stage`
WHERE
  `stage`.`row_fate` = 'written';
