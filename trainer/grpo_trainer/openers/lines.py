"""What openers are made of, written for this project: a statement that names the house, and a question."""

HOUSE = "Harbour Motors"
ELSEWHERE = ("our little garage", "this shop", "the yard here")
"""What a careless seller says in its place."""

STATEMENTS = (
    "Welcome to {house}, the coffee is fresh",
    "Snow is forecast for the weekend, and {house} has winter tyres in stock",
    "My grandmother drove one of these until she was ninety, long before {house} opened",
    "Nobody at {house} will hurry you today",
    "That {colour} paint was mixed by hand, says the mechanic of {house}",
    "Electric cars charge for free in the yard of {house}",
    "The radio in this one plays only jazz, and {house} apologises for it",
    "A dog slept on that back seat all morning, the mascot of {house}",
    "Petrol prices jumped again, so {house} keeps a list of thrifty engines",
    "Children may sound every horn at {house} before noon",
    "A retired pilot sold this {colour} coupe to {house} last week",
    "The bank across the street lends at three percent to guests of {house}",
    "Rain drums nicely on a glass roof, as you can hear at {house}",
    "Our oldest van has crossed the desert twice and came home to {house}",
    "Thieves never manage to open this lock, as {house} has tested",
    "Three suitcases and a cello fit in the boot, {house} has tried it",
    "The brakes were renewed on Tuesday by the apprentice of {house}",
    "Every {colour} key at {house} belongs to a car that is still free",
    "A football team rents its bus from {house} in summer",
    "Bees live on the roof of {house}, and honey comes with each contract",
)
QUESTIONS = (
    "would you like to drive it around the block?",
    "how many people do you carry on a normal Monday?",
    "do you park in a narrow street at night?",
    "what did you dislike about your last car?",
    "may I show you the engine?",
    "is a quiet cabin important to you?",
    "which colour would your family choose?",
    "are you planning a long journey this year?",
    "shall we look at the price together first?",
    "do you tow a boat or a caravan?",
    "how far is your way to work?",
    "would a small electric one suit you better?",
    "can I offer you tea while you look around?",
    "who else will sit behind the wheel?",
)
ENDINGS = ("just look around.", "the keys are on the table.", "call me when something pleases you.")
"""What a careless seller says in the place of a question."""
COLOURS = ("red", "blue", "green", "silver", "yellow", "black")

WHO = ("a student", "a young couple", "a family of five", "a farmer", "a nurse", "a musician", "a retired teacher")
LOOKS_AT = ("a small hatchback", "a van", "an electric sedan", "an old coupe", "a pickup", "a station wagon", "a bus")
WHEN = ("early on Monday", "at noon", "in the rain", "shortly before closing", "on a sunny Saturday", "in the snow")
