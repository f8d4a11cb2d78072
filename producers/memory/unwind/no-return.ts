const NAMES = new Set([
  'abort',
  'exit',
  '_exit',
  '_Exit',
  'quick_exit',
  'pthread_exit',
  'thrd_exit',
  'longjmp',
  'siglongjmp',
  '_longjmp',
  '__longjmp_chk',
  '__stack_chk_fail',
  '__chk_fail',
  '__fortify_fail',
  '__assert_fail',
  '__assert',
  '__libc_fatal',
  '__cxa_throw',
  '__cxa_rethrow',
  '__cxa_bad_cast',
  '__cxa_throw_bad_array_new_length',
  '_Unwind_Resume',
  'err',
  'errx',
  'verr',
  'verrx',
]);

/** Functions of this name never come back to their caller. */
export const doesNotReturn = (name: string): boolean =>
  NAMES.has(name) || (name.startsWith('_ZSt') && (name.includes('__throw_') || name.startsWith('_ZSt9terminate')));
