-- stage_prices: stage the rows of the mapping prices

-- rows of prices, with the events of the same source rows
DROP TABLE IF EXISTS "work"."stage_prices";

-- rows of prices, with the events of the same source rows
CREATE TABLE "work"."stage_prices" AS
WITH "rows" AS (
  SELECT
    "events"."source_key",
    "events"."cost_event_id",
    "events"."cost_domain_id",
    "events"."cost_type_concept_id",
    "events"."total_cost",
    "events"."priced_person_id",
    "events"."priced_date",
    COALESCE(
      "events"."row_reason",
      CASE
        WHEN "events"."cost_event_id" IS NULL
        THEN 'cost_event_id: unknown findings'
      END
    ) AS "row_reason"
  FROM (
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Condition' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'condition_occurrence' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."condition_concept_id", "rows"."condition_start_date", "rows"."condition_start_datetime", "rows"."condition_type_concept_id", "rows"."condition_source_value", "rows"."condition_source_concept_id", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "condition_concept_id",
            "stage"."start_date" AS "condition_start_date",
            "stage"."start_datetime" AS "condition_start_datetime",
            "stage"."type_concept_id" AS "condition_type_concept_id",
            LEFT("stage"."source_value", 50) AS "condition_source_value",
            "stage"."source_concept_id" AS "condition_source_concept_id"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'condition_occurrence'
            AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Drug' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'drug_exposure' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."drug_concept_id", "rows"."drug_exposure_start_date", "rows"."drug_exposure_start_datetime", "rows"."drug_exposure_end_date", "rows"."drug_exposure_end_datetime", "rows"."drug_type_concept_id", "rows"."drug_source_value", "rows"."drug_source_concept_id", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "drug_concept_id",
            "stage"."start_date" AS "drug_exposure_start_date",
            "stage"."start_datetime" AS "drug_exposure_start_datetime",
            "stage"."start_date" AS "drug_exposure_end_date",
            "stage"."start_datetime" AS "drug_exposure_end_datetime",
            "stage"."type_concept_id" AS "drug_type_concept_id",
            LEFT("stage"."source_value", 50) AS "drug_source_value",
            "stage"."source_concept_id" AS "drug_source_concept_id"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'drug_exposure' AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Procedure' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'procedure_occurrence' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."procedure_concept_id", "rows"."procedure_date", "rows"."procedure_datetime", "rows"."procedure_type_concept_id", "rows"."procedure_source_value", "rows"."procedure_source_concept_id", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "procedure_concept_id",
            "stage"."start_date" AS "procedure_date",
            "stage"."start_datetime" AS "procedure_datetime",
            "stage"."type_concept_id" AS "procedure_type_concept_id",
            LEFT("stage"."source_value", 50) AS "procedure_source_value",
            "stage"."source_concept_id" AS "procedure_source_concept_id"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'procedure_occurrence'
            AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Device' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'device_exposure' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."device_concept_id", "rows"."device_exposure_start_date", "rows"."device_exposure_start_datetime", "rows"."device_type_concept_id", "rows"."device_source_value", "rows"."device_source_concept_id", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "device_concept_id",
            "stage"."start_date" AS "device_exposure_start_date",
            "stage"."start_datetime" AS "device_exposure_start_datetime",
            "stage"."type_concept_id" AS "device_type_concept_id",
            LEFT("stage"."source_value", 50) AS "device_source_value",
            "stage"."source_concept_id" AS "device_source_concept_id"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'device_exposure' AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Measurement' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'measurement' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."measurement_concept_id", "rows"."measurement_date", "rows"."measurement_datetime", "rows"."measurement_type_concept_id", "rows"."value_as_concept_id", "rows"."measurement_source_value", "rows"."measurement_source_concept_id", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "measurement_concept_id",
            "stage"."start_date" AS "measurement_date",
            "stage"."start_datetime" AS "measurement_datetime",
            "stage"."type_concept_id" AS "measurement_type_concept_id",
            "stage"."value_as_concept_id" AS "value_as_concept_id",
            LEFT("stage"."source_value", 50) AS "measurement_source_value",
            "stage"."source_concept_id" AS "measurement_source_concept_id"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'measurement' AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Observation' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'observation' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."observation_concept_id", "rows"."observation_date", "rows"."observation_datetime", "rows"."observation_type_concept_id", "rows"."value_as_concept_id", "rows"."observation_source_value", "rows"."observation_source_concept_id", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "observation_concept_id",
            "stage"."start_date" AS "observation_date",
            "stage"."start_datetime" AS "observation_datetime",
            "stage"."type_concept_id" AS "observation_type_concept_id",
            "stage"."value_as_concept_id" AS "value_as_concept_id",
            LEFT("stage"."source_value", 50) AS "observation_source_value",
            "stage"."source_concept_id" AS "observation_source_concept_id"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'observation' AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      CAST(NULL AS TEXT) COLLATE "C" AS "source_key",
      "rows"."event_id" AS "cost_event_id",
      'Specimen' COLLATE "C" AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "rows"."stage__prices__total_cost" AS "total_cost",
      "rows"."stage__person_id" AS "priced_person_id",
      "rows"."stage__start_date" AS "priced_date",
      "rows"."stage__prices__row_reason" AS "row_reason"
    FROM (
      SELECT
        "numbered"."event_id" AS "event_id",
        'specimen' COLLATE "C" AS "event_table",
        "numbered"."stage__person_id",
        "numbered"."stage__prices__total_cost",
        "numbered"."stage__start_date",
        "numbered"."stage__prices__row_reason",
        "numbered"."stage__fan_out"
      FROM (
        SELECT
          ROW_NUMBER() OVER (
            ORDER BY "rows"."mapping_number", "rows"."person_id", "rows"."specimen_concept_id", "rows"."specimen_type_concept_id", "rows"."specimen_date", "rows"."specimen_datetime", "rows"."specimen_source_value", "rows"."stage__fan_out", "rows"."stage__prices__total_cost", "rows"."stage__prices__row_reason"
          ) AS "event_id",
          "rows"."stage__person_id",
          "rows"."stage__prices__total_cost",
          "rows"."stage__start_date",
          "rows"."stage__prices__row_reason",
          "rows"."stage__fan_out"
        FROM (
          SELECT
            "stage"."person_id" AS "stage__person_id",
            "stage"."prices__total_cost" AS "stage__prices__total_cost",
            "stage"."start_date" AS "stage__start_date",
            "stage"."prices__row_reason" AS "stage__prices__row_reason",
            "stage"."fan_out" AS "stage__fan_out",
            1 AS "mapping_number",
            "stage"."person_id" AS "person_id",
            "stage"."concept_id" AS "specimen_concept_id",
            "stage"."type_concept_id" AS "specimen_type_concept_id",
            "stage"."start_date" AS "specimen_date",
            "stage"."start_datetime" AS "specimen_datetime",
            LEFT("stage"."source_value", 50) AS "specimen_source_value"
          FROM "work"."stage_findings" AS "stage"
          WHERE
            "stage"."target_table" = 'specimen' AND "stage"."row_fate" = 'written'
        ) AS "rows"
      ) AS "numbered"
    ) AS "rows"
    WHERE
      "rows"."stage__fan_out" = 1 AND "rows"."stage__prices__row_reason" IS NULL
    UNION ALL
    SELECT
      "stage"."source_key" AS "source_key",
      NULL AS "cost_event_id",
      NULL AS "cost_domain_id",
      32810 AS "cost_type_concept_id",
      "stage"."prices__total_cost" AS "total_cost",
      "stage"."person_id" AS "priced_person_id",
      "stage"."start_date" AS "priced_date",
      "stage"."prices__row_reason" AS "row_reason"
    FROM "work"."stage_findings" AS "stage"
    WHERE
      "stage"."fan_out" = 1
      AND (
        "stage"."row_fate" = 'quarantined' OR NOT "stage"."prices__row_reason" IS NULL
      )
  ) AS "events"
), "fated" AS (
  SELECT
    "rows"."source_key",
    "rows"."cost_event_id",
    "rows"."cost_domain_id",
    "rows"."cost_type_concept_id",
    "rows"."total_cost",
    "rows"."priced_person_id",
    "rows"."priced_date",
    CASE WHEN NOT "rows"."row_reason" IS NULL THEN 'quarantined' ELSE 'written' END COLLATE "C" AS "row_fate",
    "rows"."row_reason"
  FROM "rows"
), "periods" AS (
  SELECT
    "person_id",
    "payer_plan_period_start_date" AS "start_date",
    MIN("payer_plan_period_id") AS "payer_plan_period_id",
    MAX("payer_plan_period_end_date") AS "end_date"
  FROM "cdm"."payer_plan_period"
  GROUP BY
    "person_id",
    "payer_plan_period_start_date"
)
SELECT
  "fated"."source_key",
  "fated"."cost_event_id",
  "fated"."cost_domain_id",
  "fated"."cost_type_concept_id",
  "fated"."total_cost",
  CASE
    WHEN "fated"."priced_date" <= "periods"."end_date"
    THEN "periods"."payer_plan_period_id"
  END AS "payer_plan_period_id",
  "fated"."row_fate",
  "fated"."row_reason"
FROM "fated"
LEFT JOIN (
  SELECT
    "row_by",
    "moment",
    "latest_at"
  FROM (
    SELECT
      "row_by",
      "moment",
      "is_row",
      MAX("latest_at") OVER (
        PARTITION BY "row_by"
        ORDER BY "moment" NULLS FIRST, "is_row" NULLS FIRST
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "latest_at"
    FROM (
      SELECT
        "priced_person_id" AS "row_by",
        "priced_date" AS "moment",
        1 AS "is_row",
        NULL AS "latest_at"
      FROM "fated"
      UNION
      SELECT
        "person_id" AS "row_by",
        "start_date" AS "moment",
        0 AS "is_row",
        "start_date" AS "latest_at"
      FROM "periods"
    ) AS "moments"
  ) AS "passed"
  WHERE
    "is_row" = 1
) AS "latest"
  ON "latest"."row_by" = "fated"."priced_person_id"
  AND "latest"."moment" = "fated"."priced_date"
LEFT JOIN "periods"
  ON "periods"."person_id" = "latest"."row_by"
  AND "periods"."start_date" = "latest"."latest_at";

-- rows of prices, with the events of the same source rows
ANALYZE "work"."stage_prices";

-- write_cost: write cdm.cost from prices

-- cdm.cost becomes the union of its mappings
TRUNCATE TABLE   "cdm"."cost";

-- cdm.cost becomes the union of its mappings
INSERT INTO "cdm"."cost" (
  "cost_id",
  "cost_event_id",
  "cost_domain_id",
  "cost_type_concept_id",
  "total_cost",
  "payer_plan_period_id"
)
SELECT
  ROW_NUMBER() OVER (
    ORDER BY "rows"."mapping_number", "rows"."cost_event_id", "rows"."cost_domain_id"
  ) AS "cost_id",
  "rows"."cost_event_id" AS "cost_event_id",
  "rows"."cost_domain_id" AS "cost_domain_id",
  "rows"."cost_type_concept_id" AS "cost_type_concept_id",
  "rows"."total_cost" AS "total_cost",
  "rows"."payer_plan_period_id" AS "payer_plan_period_id"
FROM (
  SELECT
    1 AS "mapping_number",
    "stage"."cost_event_id" AS "cost_event_id",
    "stage"."cost_domain_id" AS "cost_domain_id",
    "stage"."cost_type_concept_id" AS "cost_type_concept_id",
    "stage"."total_cost" AS "total_cost",
    "stage"."payer_plan_period_id" AS "payer_plan_period_id"
  FROM "work"."stage_prices" AS "stage"
  WHERE
    "stage"."row_fate" = 'written'
) AS "rows";

-- cdm.cost becomes the union of its mappings
ANALYZE "cdm"."cost";

-- for a later merge: the rows up to this id are of a full write
DROP TABLE IF EXISTS "work"."full_cost";

-- for a later merge: the rows up to this id are of a full write
CREATE TABLE "work"."full_cost" AS
SELECT
  MAX("cost_id") AS "last_id"
FROM "cdm"."cost";

-- for a later merge: the rows up to this id are of a full write
ANALYZE "work"."full_cost";
