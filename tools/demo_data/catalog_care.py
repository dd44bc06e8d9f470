"""The clinical catalogue, second part: diseases and admissions and what is done about them."""

from __future__ import annotations

from typing import NamedTuple

from tools.demo_data import catalog as c
from tools.demo_data.catalog import Admission, Chronic, Code, Illness

# --- procedures ---------------------------------------------------------------------------------
RECONCILIATION = Code("430193006", "Medication Reconciliation (procedure)")
DEPRESSION_SCREEN = Code("171207006", "Depression screening (procedure)")
SUBSTANCE_SCREEN = Code("428211000124100", "Assessment of substance use (procedure)")
ALCOHOL_SCREEN = Code(
    "763302001",
    "Assessment using Alcohol Use Disorders Identification Test - Consumption (procedure)",
)
SOCIAL_NEEDS = Code("710824005", "Assessment of health and social care needs (procedure)")
COLONOSCOPY = Code("73761001", "Colonoscopy")
POLYPECTOMY = Code("274031008", "Rectal polypectomy")
OCCULT_BLOOD = Code("104435004", "Screening for occult blood in feces (procedure)")
URINE_CULTURE = Code("117010004", "Urine culture")
CHEST_XRAY = Code("399208008", "Chest X-ray")
IMMOBILIZATION = Code("274474001", "Bone immobilization")
SUTURE = Code("288086009", "Suture open wound")
SPIROMETRY = Code("127783003", "Spirometry (procedure)")
ECHO = Code("40701008", "Echocardiography (procedure)")
CORONARY_INTERVENTION = Code("415070008", "Percutaneous coronary intervention")
BYPASS = Code("232717009", "Coronary artery bypass grafting")
CHOLECYSTECTOMY = Code("45595009", "Laparoscopic cholecystectomy")
HIP_REPLACEMENT = Code("52734007", "Total replacement of hip")
APPENDECTOMY = Code("80146002", "Appendectomy")
HEAD_CT = Code("303653007", "Computed tomography of head")
DIALYSIS = Code("265764009", "Renal dialysis (procedure)")
FUNDAL_HEIGHT = Code("274804006", "Evaluation of uterine fundal height")
FETAL_HEART = Code("225158009", "Auscultation of the fetal heart")
PREGNANCY_TEST = Code("252160004", "Standard pregnancy test")
# In the stub but mapped to nothing.
CHILDBIRTH = Code("66348005", "Childbirth")
INJECTION = Code("76601001", "Intramuscular injection")
IMMUNOTHERAPY = Code("180256009", "Subcutaneous immunotherapy")
# A local concept of the stub that maps to two standard concepts.
SCOPE_AND_REMOVE = Code("demo-0003", "Colonoscopy with rectal polypectomy")
# In no vocabulary of the stub.
CERTIFICATION = Code("310417005", "Certification procedure (procedure)")

# --- care plans ---------------------------------------------------------------------------------
SELF_CARE = Code("384758001", "Self-care interventions (procedure)")
HYPERTENSION_PLAN = Code("443402002", "Lifestyle education regarding hypertension")
# The next three are in the stub, in domain Type Concept, mapped to nothing.
DIABETES_PLAN = Code("698360004", "Diabetes self management plan")
LIPID_PLAN = Code("736285004", "Hyperlipidemia clinical management plan")
CARE_PLAN = Code("734163000", "Care plan (record artifact)")
ASTHMA_PLAN = Code("699728000", "Asthma self management")
RESPIRATORY_THERAPY = Code("53950000", "Respiratory therapy")
PHYSICAL_THERAPY = Code("91251008", "Physical therapy procedure")
HEAD_REHAB = Code("47387005", "Head injury rehabilitation")
FRACTURE_CARE = Code("385691007", "Fracture care")
WEIGHT_PLAN = Code("718361005", "Weight management program")
ANTENATAL_CARE = Code("134435003", "Routine antenatal care")
ALLERGY_PLAN = Code("170836005", "Allergic disorder monitoring")

# --- conditions ---------------------------------------------------------------------------------
HYPERTENSION = Code("59621000", "Hypertension")
DIABETES = Code("44054006", "Diabetes")
INFARCTION = Code("22298006", "Myocardial Infarction")
LUNG_CANCER = Code("254637007", "Non-small cell lung cancer (disorder)")
HEART_FAILURE = Code("88805009", "Chronic congestive heart failure (disorder)")
STROKE = Code("230690007", "Stroke")
PNEUMONIA = Code("233604007", "Pneumonia (disorder)")
PREGNANCY = Code("72892002", "Normal pregnancy")
COVID = Code("840539006", "COVID-19")
PHARYNGITIS = Code("195662009", "Acute viral pharyngitis (disorder)")
BRONCHITIS = Code("10509002", "Acute bronchitis (disorder)")
# In no vocabulary of the stub; as a number it does not fit a double.
ALCOHOL = Code("10939881000119105", "Unhealthy alcohol drinking behavior (finding)")
# In the stub, not standard, mapped to nothing.
PREMATURE = Code("65588006", "Premature birth of newborn")
# Local concepts of the stub: one maps to two standard concepts, one has a 'Maps to value'.
TWO_AT_ONCE = Code("demo-0001", "Type 2 diabetes with essential hypertension")
HISTORY_OF_CANCER = Code("demo-0002", "History of malignant tumor of breast")

CHRONIC: tuple[Chronic, ...] = (
    Chronic(
        HYPERTENSION,
        30,
        24,
        (c.LISINOPRIL, c.HYDROCHLOROTHIAZIDE, c.AMLODIPINE_2, c.AMLODIPINE_5),
        (c.SYSTOLIC, c.DIASTOLIC, c.POTASSIUM),
        HYPERTENSION_PLAN,
    ),
    Chronic(DIABETES, 35, 9, (c.METFORMIN,), (c.HBA1C, c.GLUCOSE), DIABETES_PLAN),
    # Not standard: maps to another concept.
    Chronic(Code("15777000", "Prediabetes"), 30, 9, (), (c.HBA1C,), WEIGHT_PLAN),
    Chronic(
        Code("55822004", "Hyperlipidemia"),
        35,
        14,
        (c.SIMVASTATIN_10, c.SIMVASTATIN_20, c.ATORVASTATIN),
        (c.CHOLESTEROL, c.TRIGLYCERIDES, c.LDL),
        LIPID_PLAN,
    ),
    Chronic(
        Code("53741008", "Coronary Heart Disease"),
        50,
        6,
        (c.CLOPIDOGREL, c.NITROGLYCERIN, c.SIMVASTATIN_20),
        (c.LDL,),
    ),
    Chronic(
        Code("233678006", "Childhood asthma"),
        4,
        6,
        (c.ALBUTEROL, c.FLUTICASONE),
        (c.LUNG_RATIO,),
        ASTHMA_PLAN,
    ),
    Chronic(
        Code("185086009", "Chronic obstructive bronchitis (disorder)"),
        50,
        5,
        (c.ALBUTEROL,),
        (c.LUNG_RATIO, c.SATURATION),
        RESPIRATORY_THERAPY,
    ),
    Chronic(Code("271737000", "Anemia (disorder)"), 20, 6, (c.FERROUS_SULFATE,), (c.HEMOGLOBIN,)),
    Chronic(
        Code("239872002", "Osteoarthritis of hip"),
        50,
        6,
        (c.NAPROXEN, c.ACETAMINOPHEN_500),
        (c.PAIN,),
        PHYSICAL_THERAPY,
    ),
    Chronic(Code("82423001", "Chronic pain"), 25, 4, (c.PERCOCET,), (c.PAIN,)),
    Chronic(
        Code("232353008", "Perennial allergic rhinitis with seasonal variation"),
        5,
        6,
        (c.LORATADINE, c.FEXOFENADINE),
        (),
        ALLERGY_PLAN,
    ),
    Chronic(HEART_FAILURE, 60, 3, (c.CARVEDILOL,), (c.CREATININE,)),
    Chronic(
        Code("433144002", "Chronic kidney disease stage 3 (disorder)"),
        55,
        4,
        (),
        (c.FILTRATION, c.CREATININE),
    ),
    Chronic(
        Code("370143000", "Major depressive disorder (disorder)"),
        18,
        5,
        (c.DULOXETINE,),
        (c.PHQ2,),
        CARE_PLAN,
    ),
    Chronic(Code("40055000", "Chronic sinusitis (disorder)"), 20, 4, (c.HERBAL_TEA,)),
)

ACUTE: tuple[Illness, ...] = (
    Illness(PHARYNGITIS, 1, 99, 10, (c.ACETAMINOPHEN_500,), (), (c.TEMPERATURE,)),
    Illness(BRONCHITIS, 1, 99, 14, (c.TYLENOL,), (), (c.BREATHING,), RESPIRATORY_THERAPY),
    Illness(Code("444814009", "Viral sinusitis (disorder)"), 5, 99, 14),
    Illness(Code("75498004", "Acute bacterial sinusitis (disorder)"), 5, 99, 14, (c.CO_AMOXICLAV,)),
    Illness(Code("65363002", "Otitis media"), 0, 12, 12, (c.AMOXICILLIN,), (), (c.TEMPERATURE,)),
    Illness(Code("38822007", "Cystitis"), 15, 99, 7, (c.CEFUROXIME,), (URINE_CULTURE,)),
    Illness(Code("44465007", "Sprain of ankle"), 6, 80, 21, (c.IBUPROFEN,), (IMMOBILIZATION,)),
    Illness(Code("283371005", "Laceration of forearm"), 3, 85, 14, (c.ACETAMINOPHEN_325,), (SUTURE,)),
    Illness(
        Code("33737001", "Fracture of rib"),
        18,
        90,
        60,
        (c.NAPROXEN,),
        (CHEST_XRAY,),
        (c.PAIN,),
        FRACTURE_CARE,
    ),
    Illness(
        Code("62106007", "Concussion with no loss of consciousness"),
        6,
        70,
        30,
        (),
        (HEAD_CT,),
        (),
        HEAD_REHAB,
    ),
    Illness(COVID, 5, 99, 20, (c.ACETAMINOPHEN_500,), (), (c.TEMPERATURE, c.SATURATION)),
    Illness(Code("24079001", "Atopic dermatitis"), 0, 30, 90, (c.DIPHENHYDRAMINE,)),
)

ADMISSIONS: tuple[Admission, ...] = (
    Admission(Code("74400008", "Appendicitis"), 6, (APPENDECTOMY,), (c.PERCOCET,)),
    Admission(
        INFARCTION,
        40,
        (CORONARY_INTERVENTION, ECHO),
        (c.CLOPIDOGREL, c.ENOXAPARIN),
        Code("705643001", "Coronary artery stent (physical object)"),
    ),
    Admission(STROKE, 50, (HEAD_CT,), (c.ALTEPLASE,)),
    Admission(Code("65275009", "Acute Cholecystitis"), 25, (CHOLECYSTECTOMY,), (c.PERCOCET,)),
    Admission(
        Code("359817006", "Closed fracture of hip"),
        60,
        (HIP_REPLACEMENT,),
        (c.ENOXAPARIN, c.PERCOCET),
        # In no vocabulary of the stub.
        Code("304120007", "Total hip replacement prosthesis (physical object)"),
    ),
    Admission(PNEUMONIA, 2, (CHEST_XRAY,), (c.AZITHROMYCIN,)),
    Admission(HEART_FAILURE, 60, (ECHO, CHEST_XRAY), (c.FUROSEMIDE,)),
    Admission(Code("55680006", "Drug overdose"), 16, ()),
    # Not standard: maps to another concept.
    Admission(Code("275272006", "Brain damage - traumatic"), 16, (HEAD_CT,)),
    Admission(
        Code("410429000", "Cardiac Arrest"),
        50,
        (BYPASS,),
        (),
        Code("72506001", "Implantable defibrillator  device (physical object)"),
    ),
)

CAUSES_OF_DEATH: tuple[Code, ...] = (INFARCTION, HEART_FAILURE, STROKE, LUNG_CANCER, PNEUMONIA)

# Findings recorded as conditions; the standard concept of most is in domain Observation.
FINDINGS: tuple[Code, ...] = (
    Code("160903007", "Full-time employment (finding)"),
    Code("160903007", "Full-time employment (finding)"),
    Code("160904001", "Part-time employment (finding)"),
    Code("73438004", "Unemployed (finding)"),
    Code("224299000", "Received higher education (finding)"),
    Code("73595000", "Stress (finding)"),
    Code("423315002", "Limited social contact (finding)"),
    Code("162864005", "Body mass index 30+ - obesity (finding)"),
    Code("428251008", "History of appendectomy"),
    ALCOHOL,
)

SCREENINGS: tuple[Code, ...] = (
    RECONCILIATION,
    DEPRESSION_SCREEN,
    SUBSTANCE_SCREEN,
    ALCOHOL_SCREEN,
    SOCIAL_NEEDS,
    OCCULT_BLOOD,
)

# --- vaccines, devices, supplies ----------------------------------------------------------------
INFLUENZA = Code("140", "Influenza  seasonal  injectable  preservative free")
CHILD_VACCINES: tuple[tuple[int, tuple[Code, ...]], ...] = (
    (0, (Code("08", "Hep B  adolescent or pediatric"),)),  # in no vocabulary of the stub
    (1, (Code("10", "IPV"), Code("133", "Pneumococcal conjugate PCV 13"))),
    (5, (Code("20", "DTaP"), Code("21", "varicella"))),
    (11, (Code("62", "HPV  quadrivalent"), Code("115", "Tdap"))),
    (16, (Code("114", "meningococcal MCV4P"),)),
)
ADULT_VACCINES: tuple[Code, ...] = (
    Code("113", "Td (adult) preservative free"),
    Code("52", "Hep A  adult"),
    Code("33", "pneumococcal polysaccharide vaccine  23 valent"),
    Code("121", "zoster vaccine  live"),
)
PACEMAKER = Code("706004007", "Implantable cardiac pacemaker (physical object)")
SUPPLIES: tuple[Code, ...] = (
    Code("261352009", "Face mask (physical object)"),
    Code("409526008", "Personal protective equipment (physical object)"),
    # The rest is in no vocabulary of the stub.
    Code("713779008", "Nitrile examination/treatment glove  non-powdered  sterile (physical object)"),
    Code("469673003", "Isolation gown  single-use (physical object)"),
)
TEST_STRIPS = Code("337388004", "Blood glucose testing strips (physical object)")


class Allergen(NamedTuple):
    """An allergen with the code system it is coded in and what kind of thing it is."""

    code: str
    system: str
    text: str
    category: str


ALLERGENS: tuple[Allergen, ...] = (
    Allergen("84489001", "SNOMED-CT", "Mold (organism)", "environment"),
    Allergen("256277009", "SNOMED-CT", "Grass pollen (substance)", "environment"),
    Allergen("260147004", "SNOMED-CT", "House dust mite (organism)", "environment"),
    Allergen("264287008", "SNOMED-CT", "Animal dander (substance)", "environment"),
    Allergen("102263004", "SNOMED-CT", "Eggs (edible) (substance)", "food"),
    Allergen("735029006", "SNOMED-CT", "Shellfish (substance)", "food"),
    Allergen("762952008", "SNOMED-CT", "Peanut (substance)", "food"),
    Allergen("111088007", "SNOMED-CT", "Latex (substance)", "environment"),
    # In the stub, not standard, mapped to nothing.
    Allergen("714035009", "SNOMED-CT", "Allergy to soya", "food"),
    Allergen("1191", "RxNorm", "Aspirin", "medication"),
    Allergen("7984", "RxNorm", "Penicillin V", "medication"),
    # In the stub, not standard, mapped to nothing.
    Allergen("10831", "RxNorm", "Sulfamethoxazole / Trimethoprim", "medication"),
)
REACTIONS: tuple[Code, ...] = (
    Code("418290006", "Itching (finding)"),
    Code("271807003", "Eruption of skin (disorder)"),
    Code("76067001", "Sneezing"),
    Code("267036007", "Dyspnea (finding)"),
)
