"""The clinical catalogue: which codes exist, how they are worded and what belongs together."""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """A code and its description, worded without commas as Synthea writes them."""

    code: str
    text: str


class Kind(NamedTuple):
    """A kind of encounter, with its base cost in cents."""

    klass: str
    code: str
    text: str
    cents: int


class Drug(NamedTuple):
    """A drug product with its price per dispense in cents and its usual course in days."""

    code: str
    text: str
    cents: int
    days: int


class Measure(NamedTuple):
    """A numeric observation: category, code, text, lower and upper bound in tenths, unit."""

    category: str
    code: str
    text: str
    low: int
    high: int
    unit: str


class Answer(NamedTuple):
    """A text observation: category, code, text and the values it may take."""

    category: str
    code: str
    text: str
    values: tuple[str, ...]


class Illness(NamedTuple):
    """An acute illness: its code, age range, length in days and what is done about it."""

    what: Code
    min_age: int
    max_age: int
    days: int
    drugs: tuple[Drug, ...] = ()
    procedures: tuple[Code, ...] = ()
    measures: tuple[Measure, ...] = ()
    plan: Code | None = None


class Chronic(NamedTuple):
    """A lifelong disease: its code, earliest age, percentage of people and treatment."""

    what: Code
    min_age: int
    percent: int
    drugs: tuple[Drug, ...] = ()
    measures: tuple[Measure, ...] = ()
    plan: Code | None = None


class Admission(NamedTuple):
    """A reason to be admitted to hospital: its code, earliest age and what is done there."""

    what: Code
    min_age: int
    procedures: tuple[Code, ...]
    drugs: tuple[Drug, ...] = ()
    device: Code | None = None


# --- encounters ---------------------------------------------------------------------------------
WELL_CHILD = Kind("wellness", "410620009", "Well child visit (procedure)", 12916)
WELL_ADULT = Kind("wellness", "162673000", "General examination of patient (procedure)", 12916)
SYMPTOM = Kind("ambulatory", "185345009", "Encounter for symptom", 7749)
PROBLEM = Kind("ambulatory", "185347001", "Encounter for problem (procedure)", 7749)
FOLLOW_UP = Kind("ambulatory", "390906007", "Follow-up encounter", 7749)
PRENATAL_FIRST = Kind("ambulatory", "424441002", "Prenatal initial visit", 7749)
PRENATAL = Kind("ambulatory", "424619006", "Prenatal visit", 7749)
CHECK_UP = Kind("outpatient", "185349003", "Encounter for check up (procedure)", 7749)
CONSULT = Kind("outpatient", "698314001", "Consultation for treatment", 7749)
URGENT = Kind("urgentcare", "702927004", "Urgent care clinic (procedure)", 11020)
EMERGENCY = Kind("emergency", "50849002", "Emergency room admission (procedure)", 14631)
INPATIENT = Kind("inpatient", "183452005", "Encounter Inpatient", 87500)
HOME = Kind("home", "439708006", "Home visit (procedure)", 9900)
SNF = Kind("snf", "449411000124106", "Admission to skilled nursing facility (procedure)", 65000)
HOSPICE = Kind("hospice", "305336008", "Admission to hospice (procedure)", 54000)
VIRTUAL = Kind("virtual", "448337001", "Telemedicine consultation with patient (procedure)", 6500)
PHARMACY = Kind("pharmacy", "182836005", "Review of medication (procedure)", 2500)
DEATH = Kind("wellness", "308646001", "Death Certification", 12916)

# --- medications --------------------------------------------------------------------------------
LISINOPRIL = Drug("314076", "lisinopril 10 MG Oral Tablet", 2634, 365)
HYDROCHLOROTHIAZIDE = Drug("310798", "Hydrochlorothiazide 25 MG Oral Tablet", 1830, 365)
AMLODIPINE_2 = Drug("308136", "amLODIPine 2.5 MG Oral Tablet", 2141, 365)
AMLODIPINE_5 = Drug("197361", "Amlodipine 5 MG Oral Tablet", 2205, 365)
SIMVASTATIN_10 = Drug("314231", "Simvastatin 10 MG Oral Tablet", 1912, 365)
SIMVASTATIN_20 = Drug("312961", "Simvastatin 20 MG Oral Tablet", 2011, 365)
ATORVASTATIN = Drug("259255", "Atorvastatin 80 MG Oral Tablet", 3490, 365)
METFORMIN = Drug("860975", "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet", 1105, 90)
CLOPIDOGREL = Drug("309362", "Clopidogrel 75 MG Oral Tablet", 3120, 365)
NITROGLYCERIN = Drug("705129", "Nitroglycerin 0.4 MG/ACTUAT Mucosal Spray", 9811, 180)
CARVEDILOL = Drug("200033", "carvedilol 25 MG Oral Tablet", 2710, 365)
FUROSEMIDE = Drug("1719286", "10 ML Furosemide 10 MG/ML Injection", 890, 1)
ALBUTEROL = Drug("2123111", "NDA020503 200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", 5300, 90)
FLUTICASONE = Drug("895994", "120 ACTUAT Fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler", 17210, 180)
FERROUS_SULFATE = Drug("310325", "ferrous sulfate 325 MG Oral Tablet", 740, 180)
NAPROXEN = Drug("849574", "Naproxen sodium 220 MG Oral Tablet", 910, 30)
IBUPROFEN = Drug("198405", "Ibuprofen 100 MG Oral Tablet", 520, 14)
ACETAMINOPHEN_325 = Drug("313782", "Acetaminophen 325 MG Oral Tablet", 480, 7)
ACETAMINOPHEN_500 = Drug("198440", "Acetaminophen 500 MG Oral Tablet", 530, 7)
TYLENOL = Drug("209387", "Acetaminophen 325 MG Oral Tablet [Tylenol]", 790, 7)
PERCOCET = Drug(
    "1049625",
    "Acetaminophen 325 MG / Oxycodone Hydrochloride 10 MG Oral Tablet [Percocet]",
    3650,
    14,
)
LORATADINE = Drug("665078", "Loratadine 5 MG Chewable Tablet", 724, 90)
FEXOFENADINE = Drug("997488", "Fexofenadine hydrochloride 30 MG Oral Tablet", 1045, 60)
DIPHENHYDRAMINE = Drug("1049630", "diphenhydrAMINE Hydrochloride 25 MG Oral Tablet", 560, 5)
AMOXICILLIN = Drug("308182", "Amoxicillin 250 MG Oral Capsule", 980, 10)
CO_AMOXICLAV = Drug("562251", "Amoxicillin 250 MG / Clavulanate 125 MG Oral Tablet", 1890, 10)
CEFUROXIME = Drug("309097", "Cefuroxime 250 MG Oral Tablet", 2210, 7)
AZITHROMYCIN = Drug("308460", "Azithromycin 250 MG Oral Tablet", 1780, 5)
ENOXAPARIN = Drug("854235", "0.4 ML Enoxaparin sodium 100 MG/ML Prefilled Syringe", 8810, 5)
ALTEPLASE = Drug("1804799", "Alteplase 100 MG Injection", 640000, 1)
DULOXETINE = Drug("596926", "duloxetine 20 MG Delayed Release Oral Capsule", 4110, 365)
MEDROXYPROGESTERONE = Drug("1000126", "1 ML medroxyPROGESTERone acetate 150 MG/ML Injection", 5690, 90)
# Mapped nowhere: the code is in no vocabulary of the stub.
HERBAL_TEA = Drug("demo-rx-001", "Chamomile tea blend (local formulary)", 350, 30)
# A local concept of the stub that maps to two standard drugs.
TWO_DRUG_KIT = Drug("demo-rx-002", "Amoxicillin and acetaminophen kit (local formulary)", 2150, 10)

# --- numeric observations -----------------------------------------------------------------------
HEIGHT = Measure("vital-signs", "8302-2", "Body Height", 1500, 1950, "cm")
WEIGHT = Measure("vital-signs", "29463-7", "Body Weight", 500, 1150, "kg")
CHILD_HEIGHT = HEIGHT._replace(low=500, high=1500)
CHILD_WEIGHT = WEIGHT._replace(low=35, high=520)
BMI = Measure("vital-signs", "39156-5", "Body Mass Index", 180, 380, "kg/m2")
SYSTOLIC = Measure("vital-signs", "8480-6", "Systolic Blood Pressure", 980, 1650, "mm[Hg]")
DIASTOLIC = Measure("vital-signs", "8462-4", "Diastolic Blood Pressure", 620, 1010, "mm[Hg]")
HEART_RATE = Measure("vital-signs", "8867-4", "Heart rate", 550, 1020, "/min")
BREATHING = Measure("vital-signs", "9279-1", "Respiratory rate", 120, 200, "/min")
PAIN = Measure(
    "vital-signs",
    "72514-3",
    "Pain severity - 0-10 verbal numeric rating [Score] - Reported",
    0,
    90,
    "{score}",
)
TEMPERATURE = Measure("vital-signs", "8310-5", "Body temperature", 366, 402, "Cel")
SATURATION = Measure("vital-signs", "2708-6", "Oxygen saturation in Arterial blood", 850, 995, "%")
GLUCOSE = Measure("laboratory", "2339-0", "Glucose", 680, 2100, "mg/dL")
CREATININE = Measure("laboratory", "38483-4", "Creatinine", 6, 38, "mg/dL")
POTASSIUM = Measure("laboratory", "6298-4", "Potassium", 35, 54, "mmol/L")
HBA1C = Measure("laboratory", "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", 54, 96, "%")
CHOLESTEROL = Measure("laboratory", "2093-3", "Total Cholesterol", 1400, 2800, "mg/dL")
TRIGLYCERIDES = Measure("laboratory", "2571-8", "Triglycerides", 700, 3200, "mg/dL")
LDL = Measure("laboratory", "18262-6", "Low Density Lipoprotein Cholesterol", 600, 1900, "mg/dL")
HEMOGLOBIN = Measure("laboratory", "718-7", "Hemoglobin [Mass/volume] in Blood", 90, 172, "g/dL")
LEUKOCYTES = Measure(
    "laboratory",
    "6690-2",
    "Leukocytes [#/volume] in Blood by Automated count",
    38,
    150,
    "10*3/uL",
)
ALANINE = Measure(
    "laboratory",
    "1742-6",
    "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
    120,
    650,
    "U/L",
)
FILTRATION = Measure("laboratory", "33914-3", "Glomerular filtration rate/1.73 sq M.predicted", 240, 980, "mL/min")
LUNG_RATIO = Measure("procedure", "19926-5", "FEV1/FVC", 420, 800, "%")
PHQ2 = Measure(
    "survey",
    "55758-7",
    "Patient Health Questionnaire 2 item (PHQ-2) total score [Reported]",
    0,
    60,
    "{score}",
)
FAMILY_SIZE = Measure(
    "survey",
    "63512-8",
    "How many family members  including yourself  do you currently live with?",
    10,
    60,
    "{#}",
)

# --- text observations --------------------------------------------------------------------------
# Values that are the name or the code of a 'Meas Value' concept in the stub, and others.
SMOKING = Answer(
    "survey",
    "72166-2",
    "Tobacco smoking status NHIS",
    ("Never smoker", "Never smoker", "Former smoker", "Current every day smoker", "LA18978-9"),
)
WORK = Answer(
    "survey",
    "67875-5",
    "What is your current work situation?",
    ("Full-time work", "Part-time or temporary work", "Otherwise unemployed but not seeking work"),
)
SAFE = Answer(
    "survey",
    "93026-3",
    "Do you feel physically and emotionally safe where you currently live?",
    ("Yes", "Yes", "Yes", "No", "LA33-6", "Unsure"),
)
URINE_PROTEIN = Answer(
    "laboratory",
    "20454-5",
    "Protein [Presence] in Urine by Test strip",
    ("Negative", "Negative", "Positive", "LA6577-6"),
)
URINE_COLOR = Answer("laboratory", "5778-6", "Color of Urine", ("Yellow", "Amber", "Reddish color of urine"))
VIRUS = Answer(
    "laboratory",
    "94531-1",
    "SARS-CoV-2 RNA Pnl Resp NAA+probe",
    ("Positive", "Detected (qualifier value)"),
)
CAUSE_OF_DEATH = Code("69453-9", "Cause of Death [US Standard Certificate of Death]")
