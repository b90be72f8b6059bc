"""The films that are talked about: six genres with six films each."""

from typing import NamedTuple


class Film(NamedTuple):
    title: str
    director: str
    year: int
    genre: str


_BY_GENRE = {
    "comedy": (
        ("Airplane!", "Jim Abrahams", 1980),
        ("The Big Lebowski", "Joel Coen", 1998),
        ("Some Like It Hot", "Billy Wilder", 1959),
        ("Groundhog Day", "Harold Ramis", 1993),
        ("Playtime", "Jacques Tati", 1967),
        ("Hot Fuzz", "Edgar Wright", 2007),
    ),
    "thriller": (
        ("Rear Window", "Alfred Hitchcock", 1954),
        ("Zodiac", "David Fincher", 2007),
        ("The Conversation", "Francis Ford Coppola", 1974),
        ("Memories of Murder", "Bong Joon-ho", 2003),
        ("Michael Clayton", "Tony Gilroy", 2007),
        ("Prisoners", "Denis Villeneuve", 2013),
    ),
    "science fiction film": (
        ("Alien", "Ridley Scott", 1979),
        ("Arrival", "Denis Villeneuve", 2016),
        ("Solaris", "Andrei Tarkovsky", 1972),
        ("Moon", "Duncan Jones", 2009),
        ("Contact", "Robert Zemeckis", 1997),
        ("Gattaca", "Andrew Niccol", 1997),
    ),
    "romance": (
        ("Casablanca", "Michael Curtiz", 1942),
        ("Before Sunrise", "Richard Linklater", 1995),
        ("In the Mood for Love", "Wong Kar-wai", 2000),
        ("Brief Encounter", "David Lean", 1945),
        ("Notting Hill", "Roger Michell", 1999),
        ("Roman Holiday", "William Wyler", 1953),
    ),
    "cartoon": (
        ("Spirited Away", "Hayao Miyazaki", 2001),
        ("Coco", "Lee Unkrich", 2017),
        ("Ratatouille", "Brad Bird", 2007),
        ("Persepolis", "Marjane Satrapi", 2007),
        ("Song of the Sea", "Tomm Moore", 2014),
        ("The Iron Giant", "Brad Bird", 1999),
    ),
    "western": (
        ("High Noon", "Fred Zinnemann", 1952),
        ("Unforgiven", "Clint Eastwood", 1992),
        ("True Grit", "Joel Coen", 2010),
        ("Rio Bravo", "Howard Hawks", 1959),
        ("Shane", "George Stevens", 1953),
        ("The Searchers", "John Ford", 1956),
    ),
}
FILMS = tuple(Film(*facts, genre) for genre, films in _BY_GENRE.items() for facts in films)
GENRES = tuple(_BY_GENRE)


def of(genre: str) -> list[Film]:
    return [film for film in FILMS if film.genre == genre]


def named(text: str) -> list[Film]:
    """Return the films whose titles a text holds, in the order in which they are there; capitals count."""
    places = {film: text.find(film.title) for film in FILMS}
    return sorted((film for film, place in places.items() if place >= 0), key=places.__getitem__)
