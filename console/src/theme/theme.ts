import { Button, createTheme, NativeSelect, PasswordInput, TextInput } from '@mantine/core';

/** Mantine in our colours: every filled pair is at least 4.5:1 in both schemes. */
export const theme = createTheme({
  primaryColor: 'brand',
  primaryShade: { light: 7, dark: 7 },
  colors: {
    brand: [
      '#eef4ff',
      '#dbe7ff',
      '#b6cdfb',
      '#8fb2f7',
      '#6b9af2',
      '#4b85ea',
      '#2f6fdc',
      '#1d5bc4',
      '#174ea6',
      '#113c82',
    ],
    danger: [
      '#fff0ef',
      '#ffdcd9',
      '#ffb6b0',
      '#fb8d84',
      '#f2685d',
      '#e0483c',
      '#cc3328',
      '#b3261e',
      '#941c16',
      '#741410',
    ],
  },
  fontFamily: 'var(--font-text)',
  fontFamilyMonospace: 'var(--font-code)',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  components: {
    Button: Button.extend({ defaultProps: { size: 'xs' } }),
    TextInput: TextInput.extend({ defaultProps: { size: 'xs' } }),
    PasswordInput: PasswordInput.extend({ defaultProps: { size: 'sm' } }),
    NativeSelect: NativeSelect.extend({ defaultProps: { size: 'xs' } }),
  },
});
