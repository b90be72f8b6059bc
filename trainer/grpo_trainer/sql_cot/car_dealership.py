"""The database that SQL-CoT rows come from where no other is given: a car dealership of a few hundred rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

SCHEMA = """
CREATE TABLE cars (
    id INTEGER PRIMARY KEY, make TEXT, model TEXT, color TEXT, year INTEGER, price INTEGER, mileage INTEGER
);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER, first_visit TEXT);
CREATE TABLE employees (
    id INTEGER PRIMARY KEY, name TEXT, city TEXT, role TEXT, age INTEGER, salary INTEGER, hire_date TEXT
);
CREATE TABLE sales (
    id INTEGER PRIMARY KEY,
    car_id INTEGER REFERENCES cars (id),
    customer_id INTEGER REFERENCES customers (id),
    employee_id INTEGER REFERENCES employees (id),
    price INTEGER, payment TEXT, date TEXT
);
"""
MODELS = {
    "Audi": ("A3", "A4", "Q5"),
    "BMW": ("320i", "X3", "X5"),
    "Fiat": ("500", "Panda", "Tipo"),
    "Ford": ("Fiesta", "Focus", "Kuga"),
    "Honda": ("Civic", "Jazz", "CR-V"),
    "Kia": ("Ceed", "Niro", "Rio"),
    "Skoda": ("Fabia", "Octavia", "Superb"),
    "Toyota": ("Aygo", "Corolla", "Yaris"),
    "Volvo": ("S60", "V60", "XC40"),
}
COLORS = ("black", "blue", "green", "grey", "red", "silver", "white")
CITIES = ("Bergen", "Ghent", "Graz", "Leeds", "Lyon", "Porto", "Turin")
FIRST = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "June", "Karl", "Lena", "Milo", "Nora")
LAST = ("Berg", "Costa", "Dahl", "Evans", "Fuchs", "Grant", "Haas", "Klein", "Lund", "Moser", "Novak", "Rossi")
ROLES = ("clerk", "manager", "mechanic", "seller")
PAYMENTS = ("card", "cash", "lease", "loan")


@contextmanager
def opened(seed: int = 0) -> Iterator[Path]:
    """Write the database into a temporary file, and remove it at the end."""
    with TemporaryDirectory(prefix="guerdon-") as folder:
        path = Path(folder) / "car_dealership.sqlite"
        write(path, seed)
        yield path


def write(path: Path, seed: int = 0) -> None:
    rng = Random(seed)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        cars = [_car(rng) for _ in range(240)]
        _insert(connection, "cars", cars)
        _insert(connection, "customers", [_customer(rng) for _ in range(120)])
        _insert(connection, "employees", [_employee(rng) for _ in range(60)])
        _insert(connection, "sales", [_sale(rng, cars) for _ in range(200)])


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    places = ", ".join("?" for _ in range(len(rows[0]) + 1))
    connection.executemany(
        f"INSERT INTO {table} VALUES ({places})",  # noqa: S608
        [(number, *row) for number, row in enumerate(rows, 1)],
    )


def _car(rng: Random) -> tuple[Any, ...]:
    make = rng.choice(list(MODELS))
    year = rng.randint(2014, 2024)
    price = rng.randint(160, 520) * 100 - (2024 - year) * 1300
    return (
        make,
        rng.choice(MODELS[make]),
        rng.choice(COLORS),
        year,
        max(price, 1900),
        (2024 - year) * rng.randint(4, 19) * 1000,
    )


def _customer(rng: Random) -> tuple[Any, ...]:
    return _name(rng), rng.choice(CITIES), rng.randint(18, 80), _day(rng, 2018)


def _employee(rng: Random) -> tuple[Any, ...]:
    role = rng.choice(ROLES)
    salary = rng.randint(26, 48) * 1000 + (20_000 if role == "manager" else 0)
    return _name(rng), rng.choice(CITIES), role, rng.randint(19, 64), salary, _day(rng, 2010)


def _sale(rng: Random, cars: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    car = rng.randrange(len(cars))
    price = cars[car][4] * rng.randint(88, 103) // 100
    return car + 1, rng.randint(1, 120), rng.randint(1, 60), price, rng.choice(PAYMENTS), _day(rng, 2022)


def _name(rng: Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def _day(rng: Random, first_year: int) -> str:
    first = date(first_year, 1, 1)
    return str(first + timedelta(days=rng.randrange((date(2025, 1, 1) - first).days)))
