/** Something of a policy that its translation does not say as it did. */
export interface Remark {
  /** lost: the translation judges differently for it, more strictly as far as that can be helped; note: it does not. */
  readonly level: 'lost' | 'note';
  /** Place in the document that was read, e.g. `excludes[3]`, or a line of a flat list. */
  readonly at: string;
  readonly message: string;
}

export class Remarks {
  readonly all: Remark[] = [];

  lost(at: string, message: string): void {
    this.all.push({ level: 'lost', at, message });
  }

  note(at: string, message: string): void {
    this.all.push({ level: 'note', at, message });
  }
}
