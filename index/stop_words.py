"""Languages that the analyser knows, and their words that tell nothing: articles, pronouns, forms.

The lists are short on purpose: only closed classes of words, without accents, as the analyser folds
them. What is merely frequent weighs little by itself. English keeps the words that are keywords of
programming languages (`with`, `is`, `in`, `not`, ...). A language without a list still has stems.
"""

from enum import StrEnum


class Language(StrEnum):
    """A language of the Snowball stemmers; `NONE` stems nothing and drops nothing."""

    NONE = "none"
    ARABIC = "arabic"
    DANISH = "danish"
    DUTCH = "dutch"
    ENGLISH = "english"
    FINNISH = "finnish"
    FRENCH = "french"
    GERMAN = "german"
    GREEK = "greek"
    HINDI = "hindi"
    HUNGARIAN = "hungarian"
    INDONESIAN = "indonesian"
    ITALIAN = "italian"
    NORWEGIAN = "norwegian"
    PORTUGUESE = "portuguese"
    ROMANIAN = "romanian"
    RUSSIAN = "russian"
    SPANISH = "spanish"
    SWEDISH = "swedish"
    TAMIL = "tamil"
    TURKISH = "turkish"


_LISTS = {
    Language.ENGLISH: """
a about also am an any are be been being but can could did do does doing don done each had has
have having he her here hers him his how i into it its itself ll may me might mine more most
must my myself of on our ours shall she should so some such than that the their theirs them
then there these they this those to too ve very was we were what when where which who whom whose
why will would you your yours
""",
    Language.DANISH: """
af alle at blev bliver da de dem den denne der deres det dette dig din disse dit du eller en end er
et for fra ham han har havde hende hendes her hos hun hvad hvis hvor i ikke jeg jer kan kunne man
med mig min mit mod og om op os over pa sa sig sin sit skal skulle som til ved vi vil ville var
""",
    Language.DUTCH: """
aan al als bij dan dat de den der deze die dit doch door een en er ge geen haar had heb hebben heeft
hem het hier hij hoe hun ik in is je kan kon maar me men met mij mijn na naar niet nog nu of om ons
onze ook op over te tegen toch toen tot u uit uw van voor want waren was wat we wel werd wie wij wil
worden zal ze zelf zich zij zijn zo zonder zou
""",
    Language.FINNISH: """
ei eivat en etta han hanen he heidan itse ja jos joka jotka kanssa koska kuin kun me meidan mika
mina minun mukaan mutta ne niin niiden noin nyt ole olen oli olivat olla on ovat se sen sina sinun
siina sita tai tama taman tassa te teidan tuo vaan vai vaikka
""",
    Language.FRENCH: """
a ai as au aux avec avait c ce ces cet cette d dans de des du elle elles en est et eu eux il ils j
je l la le les leur leurs lui m ma mais me meme mes moi mon n ne nos notre nous on ont ou par pas
pour qu que qui s sa sans se ses si son sont suis sur t ta te tes toi ton tu un une vos votre vous y
etaient etait etre
""",
    Language.GERMAN: """
aber alle allem allen aller alles als also am an auch auf aus bei beim bin bis bist da damit dann
das dass dein deine dem den denn der des die dies diese diesem diesen dieser dieses dir doch du
durch ein eine einem einen einer eines er es euch euer fur hab habe haben hat hatte hatten hier ich
ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja kann kein keine man mein meine mich mir
mit nach nicht noch nun nur ob oder ohne sehr sein seine sich sie sind so soll sollte um und uns
unser unter vom von vor war waren was weil welche wenn wer werden wie wieder will wir wird wirst wo
wurde wurden zu zum zur
""",
    Language.ITALIAN: """
a ad agli ai al alla alle allo anche c che chi ci come con da dagli dai dal dalla dalle degli dei
del della delle dello di e ed era essere gli ha hai hanno ho i il in io l la le lei li lo loro lui
ma mi mio ne negli nei nel nella nelle no noi non nostro o per perche piu quale quando quella quelle
quelli quello questa queste questi questo se sei si sono su sua sue sugli sui sul sulla suo suoi te
ti tra tu tua tuo un una uno vi voi
""",
    Language.NORWEGIAN: """
alle at av ble blir da de deg dem den denne der deres det dette di din disse ditt du eller en enn er
et ett for fra ha hadde han hans har henne hennes her hun hva hvem hvis hvor i ikke inn jeg kan
kunne man med meg mer min mitt mot noe og om opp oss over pa sa seg sin sitt skal skulle som til var
ved vi vil ville
""",
    Language.PORTUGUESE: """
a ao aos as ate com como da das de dela dele deles do dos e ela elas ele eles em entre era essa esse
esta estao este eu foi ha isso isto ja lhe mais mas me mesmo meu minha muito na nao nas nem no nos
nossa nosso o os ou para pela pelas pelo pelos por qual quando que quem se sem ser seu seus sao so
sua suas tambem te tem teu tu tua um uma voce
""",
    Language.RUSSIAN: """
а без бы был была были было быть в вам вас весь во вот все всего вы где да даже для до его ее если
есть еще же за здесь и из или им их к как ко когда которые который кто ли мне мы на над нас не него
нее нет ни них но ну о об он она они оно от по под при с со так также там то того тоже только том ты
у уже чего чем что чтобы эта эти это этого этом этот я
""",
    Language.SPANISH: """
a al algo ante aqui asi aun como con cual cuando de del desde donde e el ella ellas ellos en entre
era es esa ese eso esta estas este esto estos fue ha han hasta hay la las le les lo los mas me mi
mis mucho muy ni no nos nosotros nuestra nuestro o os otra otro para pero por porque que quien se
ser si sin sobre son soy su sus tambien te ti tu tus un una uno unos y ya yo
""",
    Language.SWEDISH: """
alla att av blev blir da de dem den denna deras dess det detta dig din dina ditt du eller en er ett
fran for ha hade han hans har henne hennes hon hur i icke inte jag kan kunde man med mellan men mig
min mina mitt mot nagon nagot nar och om oss pa sa samma sedan sig sin sina sitt ska skulle som till
under upp ut utan vad var vara vem vi vid vilken vill
""",
}
STOP_WORDS = {language: frozenset(_LISTS.get(language, "").split()) for language in Language}
