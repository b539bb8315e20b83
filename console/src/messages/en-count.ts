const plurals = new Intl.PluralRules('en');

/** `1 tag`, `2 tags`: the word in the form English has for this number. */
export function count(number: number, one: string, other: string): string {
  return `${number.toLocaleString('en')} ${plurals.select(number) === 'one' ? one : other}`;
}
