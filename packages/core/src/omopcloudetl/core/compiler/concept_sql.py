"""The SQL of own concepts, over logical names and the tables `file`, `rows`, `maps` and `registry` of a step."""

from __future__ import annotations

ROWS = """
SELECT DISTINCT COALESCE(NULLIF(given.vocabulary_id, ''), :vocabulary) AS vocabulary_id, given.concept_code,
  given.concept_name, given.domain_id,
  COALESCE(NULLIF(given.concept_class_id, ''), 'Undefined') AS concept_class_id,
  NULLIF(given.standard_concept, '') AS standard_concept,
  CAST(NULLIF(given.concept_id, '') AS BIGINT) AS given_id,
  COALESCE(CAST(NULLIF(given.valid_start_date, '') AS DATE), CAST('1970-01-01' AS DATE)) AS valid_start_date,
  COALESCE(CAST(NULLIF(given.valid_end_date, '') AS DATE), CAST('2099-12-31' AS DATE)) AS valid_end_date,
  NULLIF(given.invalid_reason, '') AS invalid_reason,
  NULLIF(given.maps_to, '') AS maps_to,
  NULLIF(given.maps_to_value, '') AS maps_to_value
FROM file AS given
"""
"""One row for each concept and each pair of what it maps to; `:vocabulary` is that of rows that name none."""

ADOPTED = """
SELECT MIN(concept.concept_id) AS concept_id, concept.vocabulary_id, concept.concept_code
FROM vocab.concept AS concept
WHERE concept.concept_id >= :first
  AND EXISTS (
    SELECT 1 FROM rows AS own
    WHERE own.vocabulary_id = concept.vocabulary_id AND own.concept_code = concept.concept_code
  )
  AND NOT EXISTS (
    SELECT 1 FROM registry AS known
    WHERE known.vocabulary_id = concept.vocabulary_id AND known.concept_code = concept.concept_code
  )
GROUP BY concept.vocabulary_id, concept.concept_code
"""
CLASHES = """
SELECT DISTINCT CONCAT(own.vocabulary_id, ':', own.concept_code) AS concept,
  CONCAT('its concept_id ', CAST(own.given_id AS TEXT), ' belongs to ', known.vocabulary_id, ':', known.concept_code)
    AS problem
FROM rows AS own
JOIN registry AS known ON known.concept_id = own.given_id
WHERE known.vocabulary_id <> own.vocabulary_id OR known.concept_code <> own.concept_code
UNION
SELECT CONCAT(own.vocabulary_id, ':', own.concept_code),
  CONCAT('it has had the concept_id ', CAST(known.concept_id AS TEXT), ' before, not ', CAST(own.given_id AS TEXT))
FROM rows AS own
JOIN registry AS known ON known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
WHERE known.concept_id <> own.given_id
UNION
SELECT CONCAT(own.vocabulary_id, ':', own.concept_code),
  CONCAT(
    'its concept_id ', CAST(own.given_id AS TEXT), ' is that of ', concept.vocabulary_id, ':', concept.concept_code
  )
FROM rows AS own
JOIN vocab.concept AS concept ON concept.concept_id = own.given_id
WHERE concept.vocabulary_id <> own.vocabulary_id OR concept.concept_code <> own.concept_code
UNION
SELECT CONCAT(known.vocabulary_id, ':', known.concept_code),
  CONCAT(
    'its concept_id ', CAST(known.concept_id AS TEXT), ' is that of ', concept.vocabulary_id, ':',
    concept.concept_code, ' now'
  )
FROM registry AS known
JOIN vocab.concept AS concept ON concept.concept_id = known.concept_id
WHERE concept.vocabulary_id <> known.vocabulary_id OR concept.concept_code <> known.concept_code
UNION
SELECT CONCAT(own.vocabulary_id, ':', own.concept_code),
  CONCAT('the vocabulary has it already, as concept ', CAST(concept.concept_id AS TEXT))
FROM rows AS own
JOIN vocab.concept AS concept
  ON concept.vocabulary_id = own.vocabulary_id AND concept.concept_code = own.concept_code
WHERE concept.concept_id < :first
ORDER BY 1, 2
"""
UNKNOWN_DOMAIN = """
SELECT DISTINCT CONCAT(own.vocabulary_id, ':', own.concept_code) AS concept, own.domain_id
FROM rows AS own
WHERE EXISTS (SELECT 1 FROM vocab.domain AS any_domain)
  AND NOT EXISTS (SELECT 1 FROM vocab.domain AS known WHERE known.domain_id = own.domain_id)
ORDER BY 1, 2
"""
GIVEN = """
SELECT DISTINCT own.given_id AS concept_id, own.vocabulary_id, own.concept_code
FROM rows AS own
WHERE own.given_id IS NOT NULL
  AND NOT EXISTS (
    SELECT 1 FROM registry AS known
    WHERE known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
  )
"""
NEW = """
SELECT (
    SELECT MAX(greatest.concept_id) FROM (
      SELECT MAX(known.concept_id) AS concept_id FROM registry AS known
      UNION ALL
      SELECT MAX(concept.concept_id) FROM vocab.concept AS concept
      UNION ALL
      SELECT :first
    ) AS greatest
  ) + ROW_NUMBER() OVER (ORDER BY own.vocabulary_id, own.concept_code) AS concept_id,
  own.vocabulary_id, own.concept_code
FROM (SELECT DISTINCT vocabulary_id, concept_code FROM rows) AS own
WHERE NOT EXISTS (
  SELECT 1 FROM registry AS known
  WHERE known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
)
"""
TOO_MANY = """
SELECT MAX(known.concept_id) AS greatest_id FROM registry AS known HAVING MAX(known.concept_id) > :last
"""
CONCEPTS = """
SELECT DISTINCT CAST(known.concept_id AS INTEGER) AS concept_id, own.concept_name, own.domain_id, own.vocabulary_id,
  own.concept_class_id, own.standard_concept, own.concept_code, own.valid_start_date, own.valid_end_date,
  own.invalid_reason
FROM rows AS own
JOIN registry AS known ON known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
"""
MAPS = """
WITH asked AS (
  SELECT known.concept_id, own.vocabulary_id, own.concept_code, own.valid_start_date, own.maps_to AS target,
    'Maps to' AS relationship_id, 'Mapped from' AS reverse_id
  FROM rows AS own
  JOIN registry AS known ON known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
  WHERE own.maps_to IS NOT NULL
  UNION
  SELECT known.concept_id, own.vocabulary_id, own.concept_code, own.valid_start_date, own.maps_to_value,
    'Maps to value', 'Value mapped from'
  FROM rows AS own
  JOIN registry AS known ON known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
  WHERE own.maps_to_value IS NOT NULL
  UNION
  SELECT known.concept_id, own.vocabulary_id, own.concept_code, own.valid_start_date,
    CAST(known.concept_id AS TEXT), 'Maps to', 'Mapped from'
  FROM rows AS own
  JOIN registry AS known ON known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
  WHERE own.standard_concept = 'S'
),
candidates AS (
  SELECT asked.target, concept.concept_id, concept.standard_concept, concept.invalid_reason, concept.valid_start_date
  FROM (SELECT DISTINCT target FROM asked) AS asked
  JOIN vocab.concept AS concept ON concept.concept_id = TRY_CAST(asked.target AS BIGINT)
  UNION ALL
  SELECT asked.target, concept.concept_id, concept.standard_concept, concept.invalid_reason, concept.valid_start_date
  FROM (SELECT DISTINCT target FROM asked WHERE TRY_CAST(target AS BIGINT) IS NULL) AS asked
  JOIN vocab.concept AS concept
    ON concept.vocabulary_id = SUBSTRING(asked.target, 1, STRPOS(asked.target, ':') - 1)
      AND concept.concept_code = SUBSTRING(asked.target, STRPOS(asked.target, ':') + 1)
),
chosen AS (
  SELECT target, concept_id, standard_concept, invalid_reason,
    ROW_NUMBER() OVER (
      PARTITION BY target
      ORDER BY CASE WHEN invalid_reason IS NULL THEN 0 ELSE 1 END, valid_start_date DESC, concept_id
    ) AS choice
  FROM candidates
)
SELECT asked.concept_id, asked.vocabulary_id, asked.concept_code, asked.valid_start_date, asked.target,
  asked.relationship_id, asked.reverse_id, chosen.concept_id AS target_id,
  CASE WHEN chosen.standard_concept = 'S' AND chosen.invalid_reason IS NULL THEN 1 ELSE 0 END AS is_standard
FROM asked
LEFT JOIN chosen ON chosen.target = asked.target AND chosen.choice = 1
"""
"""What each concept maps to: an id, or vocabulary and code, of which the valid one counts, else the newest."""
UNKNOWN_TARGET = """
SELECT DISTINCT CONCAT(own.vocabulary_id, ':', own.concept_code) AS concept, own.target
FROM maps AS own WHERE own.target_id IS NULL
ORDER BY 1, 2
"""
NOT_STANDARD = """
SELECT DISTINCT CONCAT(
    own.vocabulary_id, ':', own.concept_code, ' maps to ', own.target, ', which is no valid standard concept'
  ) AS warning
FROM maps AS own WHERE own.is_standard = 0 AND own.relationship_id = 'Maps to'
ORDER BY 1
"""
RELATIONSHIPS = """
SELECT CAST(own.concept_id AS INTEGER) AS concept_id_1, CAST(own.target_id AS INTEGER) AS concept_id_2,
  own.relationship_id, own.valid_start_date, CAST('2099-12-31' AS DATE) AS valid_end_date
FROM maps AS own
UNION
SELECT CAST(own.target_id AS INTEGER), CAST(own.concept_id AS INTEGER), own.reverse_id, own.valid_start_date,
  CAST('2099-12-31' AS DATE)
FROM maps AS own
"""
ANCESTORS = """
SELECT DISTINCT CAST(known.concept_id AS INTEGER) AS ancestor_concept_id,
  CAST(known.concept_id AS INTEGER) AS descendant_concept_id,
  0 AS min_levels_of_separation, 0 AS max_levels_of_separation
FROM rows AS own
JOIN registry AS known ON known.vocabulary_id = own.vocabulary_id AND known.concept_code = own.concept_code
WHERE own.standard_concept = 'S'
"""
VOCABULARIES = """
SELECT own.vocabulary_id, :name AS vocabulary_name, :reference AS vocabulary_reference,
  :version AS vocabulary_version, 0 AS vocabulary_concept_id
FROM (SELECT DISTINCT vocabulary_id FROM rows) AS own
WHERE NOT EXISTS (SELECT 1 FROM vocab.vocabulary AS listed WHERE listed.vocabulary_id = own.vocabulary_id)
"""
