-- One row a patient: the reason on the last death certification encounter (SNOMED 308646001).
SELECT patient, reasoncode
FROM (
  SELECT
    e.patient,
    e.reasoncode,
    ROW_NUMBER() OVER (PARTITION BY e.patient ORDER BY e.start DESC, e.id) AS latest
  FROM source.encounters AS e
  WHERE e.code = '308646001'
) AS certificates
WHERE latest = 1
