# made from the skeleton of the image
