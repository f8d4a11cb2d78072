/** A number whose digits a double cannot hold, as it was written. */
export class NumberText {
  constructor(readonly digits: string) {}
}

/** A number of a format that tells doubles from integers: a double even where it is whole. */
export class FloatText {
  constructor(readonly digits: string) {}
}
