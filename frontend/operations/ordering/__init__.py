"""Operations on the order of elements: sorting, the greatest ones, and elements along lines."""
