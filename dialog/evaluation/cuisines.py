"""Cuisines of the world that people ask for, whether or not a town serves them: an own list.

So that a restaurant corpus can be tracked without a look at its labels.
"""

CUISINES: tuple[str, ...] = (
    "afghan", "african", "american", "arabic", "argentinian", "armenian", "asian", "asian oriental",
    "australasian", "australian", "austrian", "bakery", "bangladeshi", "barbeque", "basque",
    "belgian", "bistro", "brazilian", "british", "burmese", "cajun", "cambodian", "canapes",
    "cantonese", "caribbean", "catalan", "chilean", "chinese", "christmas", "colombian", "corsica",
    "creative", "creole", "croatian", "crossover", "cuban", "czech", "danish", "dutch", "egyptian",
    "english", "eritrean", "ethiopian", "european", "filipino", "finnish", "french", "fusion",
    "gastropub", "georgian", "german", "greek", "halal", "hawaiian", "hungarian", "icelandic",
    "indian", "indonesian", "international", "iranian", "irish", "israeli", "italian", "jamaican",
    "japanese", "jewish", "kosher", "korean", "latin american", "lebanese", "malaysian",
    "mediterranean", "mexican", "middle eastern", "modern european", "mongolian", "moroccan",
    "nepalese", "nigerian", "north african", "north american", "northern european", "norwegian",
    "pakistani", "panasian", "persian", "peruvian", "polish", "polynesian", "portuguese", "pub",
    "romanian", "russian", "scandinavian", "scottish", "seafood", "serbian", "sicilian",
    "singaporean", "somali", "south african", "south american", "south indian", "spanish",
    "sri lankan", "steakhouse", "sushi", "swedish", "swiss", "syrian", "taiwanese", "tapas", "thai",
    "tibetan", "traditional", "tunisian", "turkish", "tuscan", "ukrainian", "unusual", "vegan",
    "vegetarian", "venetian", "vietnamese", "welsh", "west african", "world",
)  # fmt: skip

CUISINE_NAMES: dict[str, tuple[str, ...]] = {
    "asian oriental": ("oriental", "asian"),
    "australasian": ("australian asian",),
    "barbeque": ("barbecue", "bbq"),
    "gastropub": ("gastro pub", "gastro-pub", "pub food", "gastropubs"),
    "corsica": ("corsican",),
    "panasian": ("pan asian", "pan-asian"),
    "steakhouse": ("steak house", "steak", "steaks"),
    "seafood": ("sea food", "fish"),
    "singaporean": ("singapore",),
    "venetian": ("venice",),
    "jamaican": ("jamaica",),
    "north american": ("american", "northern american"),
    "scottish": ("scotch",),
    "portuguese": ("portugese", "portuguse"),
    "vegetarian": ("veggie",),
    "traditional": ("traditional food",),
    "crossover": ("cross over",),
    "eritrean": ("eritrea",),
    "polynesian": ("polynesia",),
    "fusion": ("fusion food",),
    "danish": ("denmark",),
    "cuban": ("cuba",),
    "canapes": ("canape",),
    "world": ("world food",),
    "mediterranean": ("mediteranean", "mediterranian"),
    "unusual": ("unusual food",),
}
