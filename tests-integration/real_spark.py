"""Real Spark 3.5 with tables of Iceberg: whether it is here, and targets in empty catalogs of their own."""

import importlib.util
import json
import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

import pytest

MASTER = os.environ.get("SPARK_MASTER", "local[2]")
"""Where the tests' sessions run; `local-cluster[2,1,1024]` has two workers."""
ANSI = os.environ.get("SPARK_ANSI", "true") == "true"
"""Whether an overflow and a text that is no number are errors in them, where no test says otherwise."""
JAR = "iceberg-spark-runtime-3.5_2.12-1.10.2.jar"
Settings = dict[str, bool | int | float | str | None]


def missing() -> str | None:
    """Why there is no real Spark here; None where there is."""
    try:
        if not version("pyspark").startswith("3.5."):
            return "pyspark here is not 3.5: run the tests by `just spark`"
    except PackageNotFoundError:
        return "real Spark is in an environment of its own: run the tests by `just spark`"
    java = Path(os.environ["JAVA_HOME"]) / "bin" / "java" if os.environ.get("JAVA_HOME") else shutil.which("java")
    if java is None or not Path(java).exists():
        return "there is no Java: apt-get install openjdk-17-jre-headless"
    return None


REASON = missing()
needs_spark = [pytest.mark.spark, pytest.mark.skipif(REASON is not None, reason=str(REASON))]


def target(folder: Path, master: str = MASTER, *, ansi: bool = ANSI) -> Settings:
    """Settings of a target in `folder`, whose catalog is empty; they name a file that this writes."""
    catalog = f"lake_{uuid4().hex}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spark.conf").write_text(properties(catalog, folder / "warehouse"), encoding="utf-8")
    return {"master": master, "properties": "spark.conf", "format": "iceberg", "catalog": catalog, "ansi": ansi}


def properties(catalog: str, warehouse: Path) -> str:
    """Spark's properties: what small statements need to be quick, and a catalog of Iceberg in a folder."""
    found = importlib.util.find_spec("snowpark_connect_deps_iceberg")
    assert found is not None
    assert found.origin is not None
    log = Path(__file__).with_name("real_spark.log4j2.properties")
    lines = {
        "spark.jars": str(Path(found.origin).parent / "jars" / JAR),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        f"spark.sql.catalog.{catalog}": "org.apache.iceberg.spark.SparkCatalog",
        f"spark.sql.catalog.{catalog}.type": "hadoop",
        f"spark.sql.catalog.{catalog}.warehouse": str(warehouse),
        # Else a session does not see what another application has written.
        f"spark.sql.catalog.{catalog}.cache-enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        # Most of the time of a small statement is that of compiling it.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile=file:{log} -Duser.timezone=UTC "
        "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -Xss4m",
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())


def add_target(root: Path, name: str = "spark", *, layout: str = "{}", master: str = MASTER, ansi: bool = ANSI) -> None:
    """Give a project a target for an empty catalog, whose tables have a layout."""
    settings = target(root, master, ansi=ansi)
    connection = ", ".join(f"{key}: {json.dumps(value)}" for key, value in settings.items())
    file = root / "project.yaml"
    line = f"targets:\n  {name}: {{provider: spark, connection: {{{connection}}}, layout: {layout}}}\n"
    file.write_text(file.read_text(encoding="utf-8").replace("targets:\n", line), encoding="utf-8")
