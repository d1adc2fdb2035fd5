"""Made-up people, addresses and numbers for simulated users; none of them is real."""

from typing import Final

FIRST: Final = (
    *("Ana", "Ben", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kemal"),
    *("Lena", "Marek", "Nadia", "Oskar", "Paula", "Quentin", "Rosa", "Sami", "Tara", "Ulrich"),
)
LAST: Final = (
    *("Lind", "Okafor", "Weber", "Duarte", "Novak", "Hansen", "Moreau", "Rossi", "Keller"),
    *("Yilmaz", "Petrov", "Silva", "Murphy", "Tanaka", "Berg", "Costa", "Fischer", "Haddad"),
)
STREETS: Final = ("Mill Road", "Station Road", "Castle Street", "Park Avenue", "Church Lane")
NOTES: Final = ("rent for March", "thank you", "invoice 1042", "birthday present", "gas bill")
CARDS: Final = ("4242424242424242", "5555555555554444", "4000056655665556")
"""Numbers that the card schemes set aside for tests."""
CHITCHAT: Final = {
    "en": ("how are you?", "tell me a joke", "nice weather today"),
    "de": ("wie geht es dir?", "erzähl mir einen Witz"),
}
UNAVAILABLE: Final = {
    "en": (
        "can you fix my bicycle?",
        "write me a poem about the moon",
        "what are the lottery numbers",
    ),
    "de": ("kannst du mein Fahrrad reparieren?", "schreib mir ein Gedicht über den Mond"),
}
