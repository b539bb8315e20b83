/** The place in a list after which a page starts: the sort key of the last row seen, and its id. */
export interface Position {
  readonly key: string;
  readonly id: string;
}

/** A page a list function answers: at most `limit + 1` rows after `after`, the one too many telling that there are more. */
export interface PageQuery {
  readonly limit: number;
  readonly after: Position | undefined;
}
