"""A small car-dealership database, the same for the same seed: what SQL-CoT rows are made from by default."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

TABLES = """
CREATE TABLE dealers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, opened INTEGER);
CREATE TABLE cars (
    id INTEGER PRIMARY KEY, make TEXT, model TEXT, category TEXT, fuel TEXT, year INTEGER, mileage INTEGER,
    price INTEGER, dealer_id INTEGER REFERENCES dealers (id)
);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER, budget INTEGER);
CREATE TABLE sales (
    id INTEGER PRIMARY KEY, car_id INTEGER REFERENCES cars (id), customer_id INTEGER REFERENCES customers (id),
    year INTEGER, price INTEGER, payment TEXT
);
"""


class Model(NamedTuple):
    make: str
    name: str
    category: str
    fuel: str
    price: int
    """When new, in dollars."""


MODELS = (
    Model("Toyota", "Corolla", "sedan", "gasoline", 23_000),
    Model("Toyota", "RAV4", "SUV", "hybrid", 32_000),
    Model("Toyota", "Tacoma", "truck", "gasoline", 34_000),
    Model("Toyota", "Sienna", "minivan", "hybrid", 38_000),
    Model("Honda", "Civic", "sedan", "gasoline", 25_000),
    Model("Honda", "CR-V", "SUV", "hybrid", 33_000),
    Model("Honda", "Odyssey", "minivan", "gasoline", 39_000),
    Model("Ford", "Maverick", "truck", "hybrid", 27_000),
    Model("Ford", "F-150", "truck", "gasoline", 40_000),
    Model("Ford", "Mustang", "coupe", "gasoline", 32_000),
    Model("Kia", "Forte", "sedan", "gasoline", 21_000),
    Model("Kia", "Niro", "SUV", "electric", 40_000),
    Model("Kia", "Carnival", "minivan", "gasoline", 35_000),
    Model("Mazda", "Miata", "coupe", "gasoline", 29_000),
    Model("Mazda", "CX-5", "SUV", "gasoline", 30_000),
    Model("Tesla", "Model 3", "sedan", "electric", 42_000),
    Model("Tesla", "Model Y", "SUV", "electric", 47_000),
    Model("BMW", "M240i", "coupe", "gasoline", 51_000),
    Model("BMW", "i4", "sedan", "electric", 57_000),
)
CITIES = ("Austin", "Boston", "Chicago", "Denver", "Portland", "Tampa")
DEALERS = ("Lakeside Motors", "Summit Auto", "Harbor Cars", "Union Street Autos", "Prairie Wheels", "Northgate Motors")
FIRST = ("Ana", "Ben", "Chloe", "Dev", "Elena", "Femi", "Grace", "Hiro", "Ivan", "Julia", "Kofi", "Lena")
LAST = ("Adams", "Brandt", "Costa", "Diaz", "Evans", "Fischer", "Gupta", "Haddad")
PAYMENTS = ("cash", "loan", "lease")
THIS_YEAR = 2024


def create(path: Path, seed: int = 0) -> Path:
    """Write the database to `path`, which must not exist yet."""
    chance = random.Random(seed)
    with path.open("xb"), closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TABLES)
        cars = [_car(chance, i) for i in range(1, 241)]
        _fill(connection, "dealers", [(i, name, CITIES[i - 1], 1990 + 4 * i) for i, name in enumerate(DEALERS, 1)])
        _fill(connection, "cars", cars)
        _fill(connection, "customers", [_customer(chance, i) for i in range(1, 97)])
        sold = chance.sample(cars, 150)
        _fill(connection, "sales", [_sale(chance, i, car) for i, car in enumerate(sold, 1)])
    return path


Row = tuple[int | str, ...]


def _fill(connection: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608


def _car(chance: random.Random, i: int) -> Row:
    model = chance.choice(MODELS)
    year = chance.randint(2012, THIS_YEAR)
    age = THIS_YEAR - year
    mileage = chance.randint(0, 15) * 10 if age == 0 else age * chance.randint(60, 150) * 100
    price = round(model.price * 0.9**age * chance.uniform(0.9, 1.1), -2)
    row = (i, model.make, model.name, model.category, model.fuel, year, mileage, int(price))
    return (*row, chance.randint(1, len(DEALERS)))


def _customer(chance: random.Random, i: int) -> Row:
    name = f"{FIRST[(i - 1) % len(FIRST)]} {LAST[(i - 1) // len(FIRST)]}"
    return i, name, chance.choice(CITIES), chance.randint(19, 78), chance.randint(8, 60) * 1000


def _sale(chance: random.Random, i: int, car: Row) -> Row:
    car_id, year, price = int(car[0]), int(car[5]), int(car[7])
    paid = int(round(price * chance.uniform(0.88, 1.0), -2))
    return i, car_id, chance.randint(1, 96), chance.randint(year, THIS_YEAR), paid, chance.choice(PAYMENTS)
