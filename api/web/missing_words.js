// What a question speaks of and nothing that was found does.

/**
 * Return the names and words of `question` that are missing. The gate names terms by their stems
 * (`footbal`); where a word of the question begins so, that word is told instead.
 */
export function missingWords({ missing_names: names, missing_terms: terms }, question) {
  const words = question.match(/[\p{L}\p{N}_]+/gu) ?? [];
  const told = terms.map((term) => words.find((word) => word.toLowerCase().startsWith(term)) ?? term);
  const known = new Set();
  return [...names, ...told].filter((word) => {
    const key = word.toLowerCase();
    return !known.has(key) && known.add(key);
  });
}
