"""Several machines: network namespaces with addresses, cables and processes of their own."""
