/** A call as its instruction tells it. */
export type CallSite =
  | { readonly kind: 'direct'; readonly target: number }
  /** Through the slot at a known address. */
  | { readonly kind: 'slot'; readonly slot: number }
  /** Through a register or memory: could go anywhere. */
  | { readonly kind: 'indirect' };

/** Where the call that ends at a return address goes to. */
export type CallTarget =
  | { readonly kind: 'address'; readonly vaddr: number }
  /** Through a slot that the dynamic linker fills in with the function of this name. */
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'indirect' };
