export interface Figure {
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  /** What the figure is compared with, in the same unit; null if there is nothing here to compare with. */
  readonly baseline: number | null;
  readonly ratio: number | null;
}
