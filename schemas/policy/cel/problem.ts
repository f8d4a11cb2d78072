/** What is wrong with one expression; `column` counts characters from 1. */
export class ExpressionProblem extends Error {
  override readonly name = 'ExpressionProblem';
  constructor(
    readonly what: string,
    readonly suggestion: string,
    readonly column: number,
  ) {
    super(`column ${column}: ${what}${suggestion === '' ? '' : `; ${suggestion}`}`);
  }
}
