-- The encounters since 2000.
SELECT e.id, e.patient
FROM source.encounters AS e
WHERE e.start >= '2000-01-01'
